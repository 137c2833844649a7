"""A meter or charger that speaks MQTT, through the library ``paho-mqtt`` (the extra ``mqtt``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wattswap.protocol.errors import InputError
from wattswap.runners.node.drivers.device import DeviceError, DeviceReading
from wattswap.runners.node.drivers.document import JsonFields, read_document
from wattswap.runners.node.drivers.newest import Newest, monotonic_ms

if TYPE_CHECKING:
    from paho.mqtt.client import Client


class MqttDevice:
    """Each message on a topic is a reading; what is allowed is published, retained, on another."""

    def __init__(
        self,
        host: str,
        topic: str,
        *,
        port: int = 1_883,
        allow_topic: str = "",
        fresh_ms: int = 5_000,
        fields: JsonFields | None = None,
    ) -> None:
        """Connect in the background; it goes on trying for as long as it takes.

        Raises:
            InputError: the library is not installed.
        """
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ModuleNotFoundError as error:
            raise InputError(f"an MQTT meter needs {error.name}: pip install 'wattswap[mqtt]'") from None
        self._topic, self._allow_topic = topic, allow_topic
        self._fields = JsonFields() if fields is None else fields
        self._newest = Newest(f"{topic} at {host}:{port}", fresh_ms)
        self._client: Client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.connect_async(host, port, keepalive=10)
        self._client.loop_start()

    def read(self) -> DeviceReading:
        """What the last message said."""
        return self._newest.read()

    def allow(self, import_w: int, export_w: int) -> None:
        """Publish it as JSON; the broker keeps it for whoever comes later."""
        if self._allow_topic:
            text = f'{{"import_w":{import_w},"export_w":{export_w}}}'
            self._client.publish(self._allow_topic, text, qos=1, retain=True)

    def close(self) -> None:
        """Allow nothing any more, and leave."""
        self.allow(0, 0)
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: Client, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
        if reason.is_failure:
            self._newest.fail(f"the broker refuses: {reason}")
            return
        client.subscribe(self._topic, qos=0)
        self._newest.fail("nothing was published")

    def _on_disconnect(self, _client: Client, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
        self._newest.fail(f"the broker is gone: {reason}")

    def _on_message(self, _client: Client, _data: Any, message: Any) -> None:
        try:
            self._newest.keep(read_document(message.payload, self._fields, monotonic_ms()))
        except DeviceError as error:
            self._newest.fail(error)
