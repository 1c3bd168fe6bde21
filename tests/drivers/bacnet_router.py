"""A BACnet router of forty lines: one network on either side, each with a UDP socket that plays its wire."""

from __future__ import annotations

import asyncio
import socket
import struct

NEAR, FAR, MAC = 1, 5, 7


class BacnetRouter:
    """Stands between clients and one device: the near side is what clients know, the far side all the device sees."""

    def __init__(self, device_port: int, *, network: int = FAR) -> None:
        self.network = network
        self.passed = 0
        self._device = ("127.0.0.1", device_port)
        self._near, self._far = self._socket(self._from_near), self._socket(self._from_far)
        self.port = self._near.getsockname()[1]

    def close(self) -> None:
        for end in (self._near, self._far):
            asyncio.get_running_loop().remove_reader(end)
            end.close()

    def _socket(self, heard) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.bind(("127.0.0.1", 0))
        asyncio.get_running_loop().add_reader(made, lambda: heard(*made.recvfrom(2048)))
        return made

    def _from_near(self, data: bytes, client: tuple[str, int]) -> None:
        version, control, network, length = struct.unpack_from(">BBHB", data, 4)
        assert (version, control & 0x28) == (1, 0x20), "a request with a destination and no source"
        address, hops, message = data[9 : 9 + length], data[9 + length], data[10 + length :]
        if (network, address) != (self.network, bytes((MAC,))):
            self._send(self._near, b"\x01\x80\x03\x01" + struct.pack(">H", network), client)
            return
        assert hops > 1
        source = struct.pack(">HB", NEAR, 6) + socket.inet_aton(client[0]) + struct.pack(">H", client[1])
        self._send(self._far, bytes((1, control & 0x07 | 0x08)) + source + message, self._device)

    def _from_far(self, data: bytes, _: tuple[str, int]) -> None:
        _, control, network, length = struct.unpack_from(">BBHB", data, 4)
        if not control & 0x20 or network != NEAR or length != 6:
            return  # a broadcast of the device's own
        host, port = socket.inet_ntoa(data[9:13]), struct.unpack_from(">H", data, 13)[0]
        self.passed += 1
        source = struct.pack(">HB", self.network, 1) + bytes((MAC,))
        self._send(self._near, bytes((1, control & 0x07 | 0x08)) + source + data[16:], (host, port))

    @staticmethod
    def _send(end: socket.socket, packet: bytes, where: tuple[str, int]) -> None:
        end.sendto(struct.pack(">BBH", 0x81, 0x0A, len(packet) + 4) + packet, where)
