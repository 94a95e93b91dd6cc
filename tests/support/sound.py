"""Sounds for tests of calls, and how alike two of them are."""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["RATE", "likeness", "read_wav", "speech", "write_wav"]

RATE = 48_000
Samples = NDArray[np.float64]


def speech(seconds: float, seed: int = 1) -> Samples:
    """Something like a voice: harmonics of a pitch that wanders, in syllables, with breath and hiss."""
    dice = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = 130 + 25 * np.sin(2 * np.pi * 0.31 * time) + 12 * np.sin(2 * np.pi * 1.7 * time + 1)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = np.sum([np.sin(n * phase + n * n) / n for n in range(1, 24)], axis=0)
    syllables = np.clip(
        np.sin(2 * np.pi * 2.3 * time) + 0.4 * np.sin(2 * np.pi * 0.37 * time), 0, 1
    )
    hiss = dice.standard_normal(len(time)) * 0.05
    sound = (voice + hiss) * (0.02 + syllables)
    return np.asarray(sound / np.abs(sound).max() * 12_000)


def write_wav(path: Path, sound: Samples, rate: int = RATE) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(sound.astype("<i2").tobytes())


def read_wav(path: Path) -> Samples:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)


def likeness(original: Samples, heard: Samples) -> tuple[float, float]:
    """Pearson's correlation of all of the original with what was heard, and the delay where it is greatest.

    What is missing of what was heard counts as silence, so that nobody wins by leaving out; the delay is
    negative where the beginning is missing.
    """
    size = 1 << (len(original) + len(heard)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(original, size))
    shift = int(np.argmax(np.fft.irfft(spectrum, size)))
    shift -= size if shift > size // 2 else 0
    aligned = np.pad(heard, (max(-shift, 0), len(original)))[max(shift, 0) :][: len(original)]
    return float(np.corrcoef(original, aligned)[0, 1]), shift / RATE
