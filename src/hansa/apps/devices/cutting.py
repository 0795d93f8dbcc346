"""Cutting a device off: whoever connects under a name ends the connection of that name before it.

A broker asks for a certificate when a connection begins, and a connection may last for months. To end one whose
certificate was taken back, the authority makes out another in the same name, good for minutes, and connects with it. A
broker must then end the earlier connection. Source: MQTT 5.0 (OASIS), section 3.1.4, requirement MQTT-3.1.4-3.
"""

from datetime import datetime, timedelta
from threading import Event

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from hansa import trust
from hansa.apps.devices.broker import BrokerFolder, ClientFiles

LIFE = timedelta(minutes=5)
WAIT_S = 10.0


def take_place(
    folder: BrokerFolder, ca: trust.DeviceCa, host: str, port: int, device_id: str, at: datetime
) -> None:
    """End the connection of this device, its session with it. Harmless where there is none.

    Errors: OSError when the broker cannot be reached or does not let us in.
    """
    key, certificate = ca.client(device_id, at, life=LIFE)
    files = ClientFiles(
        device_id, folder.path / "ca.crt", folder.path / "in-place.crt", folder.path / "in-place.key"
    )
    trust.write_private(files.key, key)
    trust.write_private(files.certificate, certificate)
    try:
        context = files.tls()
    finally:
        files.key.unlink()
        files.certificate.unlink()
    there, refused = Event(), list[str]()

    def connected(
        _client: paho.Client,
        _userdata: object,
        _flags: object,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            refused.append(str(reason))
        there.set()

    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=device_id, protocol=paho.MQTTv5)
    client.tls_set_context(context)
    client.on_connect = connected
    client.connect(host, port, 20, clean_start=True)
    client.loop_start()
    try:
        if not there.wait(WAIT_S) or refused:
            raise OSError(f"the broker does not let us take its place: {refused or 'no answer'}")
    finally:
        if client.disconnect() != MQTTErrorCode.MQTT_ERR_SUCCESS:
            refused.append("already gone")
        client.loop_stop()
