"""Voice as Opus (RFC 6716): 48 kHz, one channel, 20 ms in a frame.

The only importer of `opuslib_next`, which binds the system's libopus. The application is `audio` and not
`voip`: that cuts low tones and turns phases, which a machine that compares both ends takes for another
signal. While frames are lost, each carries the one before it in little (in-band FEC), which Opus does for as
much loss as it is told of.
"""

from typing import Any

from p2pswarm.errors import HostError, RemoteProtocolError

__all__ = ["FRAME_BYTES", "SAMPLES", "VoiceDecoder", "VoiceEncoder", "need_opus"]

RATE = 48_000  # samples per second
SAMPLES = RATE // 50  # of a frame
FRAME_BYTES = 2 * SAMPLES
BITRATE = 48_000  # bits per second: speech and music that nobody tells from the original
# With it the encoder takes a fifth of what the highest complexity takes, and nobody hears the difference.
COMPLEXITY = 5


def _opus() -> Any:
    """Raises HostError when libopus is not there."""
    try:
        import opuslib_next
    except Exception as error:  # the library raises just that, or OSError
        raise HostError("voice needs libopus: install the package libopus0 (or opus)") from error
    return opuslib_next


def need_opus() -> None:
    """Raises HostError when libopus is not there: better before a call than in it."""
    _opus()


class VoiceEncoder:
    """Raises HostError when libopus is not there."""

    def __init__(self) -> None:
        opus = _opus()
        self._encoder = opus.Encoder(RATE, 1, "audio")
        self._encoder.bitrate = BITRATE
        self._encoder.complexity = COMPLEXITY
        self._encoder.inband_fec = 1

    def expect_loss(self, share: float) -> None:
        """What of the frames does not arrive; the encoder spends bits on it."""
        self._encoder.packet_loss_perc = min(round(share * 100), 50)

    def encode(self, frame: bytes) -> bytes:
        encoded: bytes = self._encoder.encode(frame, SAMPLES)
        return encoded


class VoiceDecoder:
    """Raises HostError when libopus is not there."""

    def __init__(self) -> None:
        self._opus = _opus()
        self._decoder = self._opus.Decoder(RATE, 1)

    def decode(self, opus: bytes) -> bytes:
        """Raises RemoteProtocolError."""
        return self._decoded(opus, before=False)

    def missing(self, after: bytes | None) -> bytes:
        """A frame that did not come, of what the one after it holds of it, or made up. Raises
        RemoteProtocolError."""
        return self._decoded(after, before=after is not None)

    def _decoded(self, opus: bytes | None, *, before: bool) -> bytes:
        decoder = self._opus.api.decoder
        size = 0 if opus is None else len(opus)
        try:
            frame: bytes = decoder.decode(
                self._decoder.decoder_state, opus, size, SAMPLES, before, channels=1
            )
        except self._opus.OpusError as error:
            raise RemoteProtocolError(f"voice that is no Opus: {error}") from error
        return frame.ljust(FRAME_BYTES, b"\0")
