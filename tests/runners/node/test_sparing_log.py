"""What others cause takes a few lines a minute of a log, and none of it is kept secret."""

from __future__ import annotations

import io
import json

from wattswap.runners.node.json_log import json_log
from wattswap.runners.node.messenger import LinkNotice
from wattswap.runners.node.sparing_log import LINES_A_WHILE, WHILE_S, SparingLog


def test_a_few_lines_of_each_kind_are_written_and_the_others_counted():
    stream, now_s = io.StringIO(), [0.0]
    log = SparingLog(json_log(stream), lambda: now_s[0])
    for number in range(1_000):
        notice = LinkNotice("stranger", f"{number:064x}", "nobody here trusts its key")
        log.write("info", notice.event, notice.kind, peer=notice.peer)
    log.write("warning", "refused", "charger/1", why="a forged claim")
    now_s[0] = WHILE_S
    log.settle()
    log.write("info", "stranger", "", peer="another")
    said = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in said] == [*["stranger"] * LINES_A_WHILE, "refused", "left out", "stranger"]
    assert (said[-2]["of"], said[-2]["lines"]) == ("stranger", 1_000 - LINES_A_WHILE)


def test_lines_about_one_agent_leave_room_for_those_about_another():
    stream = io.StringIO()
    log = SparingLog(json_log(stream), lambda: 0.0)
    for name in ["charger/1"] * 100 + ["charger/2"]:
        log.write("info", "rejected", LinkNotice("rejected", name, "").kind, peer=name)
    peers = [json.loads(line)["peer"] for line in stream.getvalue().splitlines()]
    assert peers == ["charger/1"] * LINES_A_WHILE + ["charger/2"]
