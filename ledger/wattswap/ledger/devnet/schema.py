"""The part of IOTA's GraphQL schema that the SDK asks for, and ``devnet``, which is ours: figures about this chain.

Names and nullness follow the real service, so a query written here works there. Descriptions show up in any GraphQL
browser.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from graphql import (
    ConstValueNode,
    GraphQLError,
    GraphQLScalarType,
    GraphQLSchema,
    assert_valid_schema,
    build_schema,
    value_from_ast_untyped,
)

from wattswap.ledger.devnet import names
from wattswap.ledger.devnet.model import Refused

_MOST_UINT53: Final = 2**53 - 1

SDL: Final = '''
scalar UInt53
"""0x and up to 64 hexadecimal digits"""
scalar IotaAddress
scalar Base64
scalar BigInt
scalar DateTime
scalar JSON

type Query {
  """first four bytes of the first checkpoint's digest; random for each database"""
  chainIdentifier: String!
  epoch(id: UInt53): Epoch
  serviceConfig: ServiceConfig!
  protocolConfig(protocolVersion: UInt53): ProtocolConfigs!
  owner(address: IotaAddress!): Owner
  address(address: IotaAddress!): Owner
  """as it is now, or as it was in that version"""
  object(address: IotaAddress!, version: UInt53): Object
  objects(after: String, before: String, filter: ObjectFilter, first: Int, last: Int): ObjectConnection!
  dryRunTransactionBlock(txBytes: String!, txMeta: TransactionMetadata, skipChecks: Boolean): DryRunResult!
  transactionBlock(digest: String!): TransactionBlock
  transactionBlocks(
    first: Int, after: String, last: Int, before: String, filter: TransactionBlockFilter): TransactionBlockConnection!
  isTransactionIndexedOnNode(digest: String!): Boolean!
  """always empty: events come from Move code, and there is none here"""
  events(after: String, before: String, filter: EventFilter, first: Int, last: Int): EventConnection!
  checkpoint(id: CheckpointId): Checkpoint
  checkpoints(first: Int, after: String, last: Int, before: String): CheckpointConnection!
  coinMetadata(coinType: String!): CoinMetadata
  """not part of the real schema: what this local chain holds"""
  devnet: Devnet!
}

type Mutation {
  executeTransactionBlock(txBytes: String!, signatures: [String!]!): ExecutionResult!
}

"""supplyNanos + burnedNanos + depositsNanos = mintedNanos, always"""
type Devnet {
  mintedNanos: BigInt!
  supplyNanos: BigInt!
  burnedNanos: BigInt!
  depositsNanos: BigInt!
  coins: UInt53!
  transactions: UInt53!
  faucet: IotaAddress!
  stateHash: String!
}

type Owner { address: IotaAddress!  balance(type: String): Balance }
type Balance { coinType: MoveType!  coinObjectCount: UInt53!  totalBalance: BigInt! }
type MoveType { repr: String! }
type MoveValue { type: MoveType!  bcs: Base64!  json: JSON! }
type MoveObject { contents: MoveValue }
type Object { address: IotaAddress!  version: UInt53!  digest: String!  asMoveObject: MoveObject  bcs: Base64 }
type PageInfo { hasPreviousPage: Boolean!  hasNextPage: Boolean!  startCursor: String  endCursor: String }
type ObjectConnection { pageInfo: PageInfo!  nodes: [Object!]! }
input ObjectFilter { type: String  owner: IotaAddress  objectIds: [IotaAddress!] }

type Checkpoint {
  sequenceNumber: UInt53!
  digest: String!
  networkTotalTransactions: UInt53
  bcs: Base64
}
type CheckpointConnection { pageInfo: PageInfo!  nodes: [Checkpoint!]! }
input CheckpointId { digest: String  sequenceNumber: UInt53 }

enum ExecutionStatus { SUCCESS FAILURE }
type TransactionBlockEffects { status: ExecutionStatus  checkpoint: Checkpoint  bcs: Base64! }
type TransactionBlock { digest: String  sender: Owner  effects: TransactionBlockEffects  bcs: Base64 }
type TransactionBlockConnection { pageInfo: PageInfo!  nodes: [TransactionBlock!]! }
enum TransactionBlockKindInput {
  SYSTEM_TX PROGRAMMABLE_TX GENESIS CONSENSUS_COMMIT_PROLOGUE_V1 AUTHENTICATOR_STATE_UPDATE_V1
  RANDOMNESS_STATE_UPDATE END_OF_EPOCH_TX TRANSACTION_DENY_RULES_UPDATE
}
input TransactionBlockFilter {
  function: String
  kind: TransactionBlockKindInput
  afterCheckpoint: UInt53
  atCheckpoint: UInt53
  beforeCheckpoint: UInt53
  sentAddress: IotaAddress
  recvAddress: IotaAddress
  inputObject: IotaAddress
  changedObject: IotaAddress
  wrappedOrDeletedObject: IotaAddress
  transactionIds: [String!]
}
type ExecutionResult { errors: [String!]  effects: TransactionBlockEffects! }

input ObjectRef { address: IotaAddress!  version: UInt53!  digest: String! }
input TransactionMetadata {
  sender: IotaAddress
  gasPrice: UInt53
  gasObjects: [ObjectRef!]
  gasBudget: UInt53
  gasSponsor: IotaAddress
}
type DryRunResult { error: String  results: [DryRunEffect!]  transaction: TransactionBlock }
type DryRunEffect { mutatedReferences: [DryRunMutation!]  returnValues: [DryRunReturn!] }
type DryRunMutation { input: TransactionArgument!  type: MoveType!  bcs: Base64! }
type DryRunReturn { type: MoveType!  bcs: Base64! }
union TransactionArgument = GasCoin | Input | Result
type GasCoin { _: Boolean }
# nullable, unlike the real one: the SDK asks both variants for `ix`, and GraphQL wants one type then
type Input { ix: Int }
type Result { cmd: Int!  ix: Int }

type EventConnection { pageInfo: PageInfo!  nodes: [Event!]! }
input EventFilter {
  sender: IotaAddress
  transactionDigest: String
  emittingModule: String
  eventType: String
}
type Event {
  sendingModule: MoveModule
  sender: Owner
  type: MoveType!
  bcs: Base64!
  timestamp: DateTime
  data: JSON!
  json: JSON!
}
type MoveModule { package: MovePackage!  name: String! }
type MovePackage { address: IotaAddress!  bcs: Base64 }

type Epoch {
  epochId: UInt53!
  referenceGasPrice: BigInt
  totalCheckpoints: UInt53
  totalTransactions: UInt53
  protocolConfigs: ProtocolConfigs!
  startTimestamp: DateTime!
  endTimestamp: DateTime
  systemStateVersion: UInt53
  fundInflow: BigInt
  fundOutflow: BigInt
  fundSize: BigInt
  liveObjectSetDigest: String
  netInflow: BigInt
  totalGasFees: BigInt
  totalStakeRewards: BigInt
  """always null: there is no staking here"""
  validatorSet: ValidatorSet
}
type ValidatorSet {
  totalStake: BigInt
  inactivePoolsId: IotaAddress
  inactivePoolsSize: Int
  pendingActiveValidatorsId: IotaAddress
  pendingActiveValidatorsSize: Int
  pendingRemovals: [Int!]
  stakingPoolMappingsId: IotaAddress
  stakingPoolMappingsSize: Int
  validatorCandidatesId: IotaAddress
  validatorCandidatesSize: Int
}
type ProtocolConfigs { protocolVersion: UInt53!  featureFlags: [FeatureFlag!]!  configs: [Config!]! }
type FeatureFlag { key: String!  value: Boolean! }
type Config { key: String!  value: String }
type ServiceConfig {
  enabledFeatures: [Feature!]!
  defaultPageSize: Int!
  maxPageSize: Int!
  maxQueryDepth: Int!
  maxQueryNodes: Int!
  maxOutputNodes: Int!
  maxQueryPayloadSize: Int!
  maxMoveValueDepth: Int!
  maxTypeArgumentDepth: Int!
  maxTypeArgumentWidth: Int!
  maxTypeNodes: Int!
  mutationTimeoutMs: Int!
  requestTimeoutMs: Int!
}
enum Feature { ANALYTICS COINS DYNAMIC_FIELDS NAME_SERVICE SUBSCRIPTIONS SYSTEM_STATE MOVE_REGISTRY }
type CoinMetadata {
  address: IotaAddress!
  decimals: Int
  description: String
  iconUrl: String
  name: String
  symbol: String
  supply: BigInt
  version: UInt53!
}
'''


def _uint53(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MOST_UINT53:
        raise GraphQLError("a UInt53 is an integer from 0 to 2^53 - 1")
    return value


def _address(value: object) -> str:
    if not isinstance(value, str):
        raise GraphQLError("an IotaAddress is a string")
    try:
        names.address(value)
    except Refused as refused:
        raise GraphQLError(str(refused)) from None
    return value


def _literal(read: Callable[[object], object]) -> Callable[[ConstValueNode], object]:
    """Reads a value that stands in the query itself."""
    return lambda written: read(value_from_ast_untyped(written))


def schema() -> GraphQLSchema:
    """The schema, checked once; scalars that come in are read strictly."""
    made = build_schema(SDL)
    for name, read in (("UInt53", _uint53), ("IotaAddress", _address)):
        scalar = made.type_map[name]
        assert isinstance(scalar, GraphQLScalarType)
        scalar.coerce_input_value = read
        scalar.coerce_input_literal = _literal(read)
    assert_valid_schema(made)
    return made
