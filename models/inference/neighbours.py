"""The training utterances nearest to a text, shown in explanations.

One small file of a bundle (neighbours.npz): texts compressed, embeddings reduced by a PCA to int8. Training
rows only, never customers' texts.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from slmfleet.models.contracts import Neighbour
from slmfleet.models.errors import BundleFault

Bytes = NDArray[np.uint8]


class Neighbours:
    """An index of n utterances with their labels, of `dimensions` numbers each.

    A vector is stored as `mean + projection @ reduced`. The similarity is its cosine with the full query
    vector: reducing that too would overstate every similarity (by 0.05 on the shop's rows, against 0.006).
    """

    def __init__(
        self,
        blob: bytes,
        offsets: NDArray[np.uint32],
        names: Sequence[str],
        owners: NDArray[np.uint16],
        reduced: NDArray[np.int8],
        scale: NDArray[np.float32],
        projection: NDArray[np.float16],
        mean: NDArray[np.float16],
    ) -> None:
        """`blob[offsets[i]:offsets[i + 1]]` is text i (UTF-8) and `names[owners[i]]` its label.

        `reduced` (n, dimensions) times `scale` (dimensions,) are coordinates along the columns of
        `projection` (width, dimensions), counted from `mean` (width,).
        """
        self._blob = blob
        self._offsets = offsets
        self._names = tuple(names)
        self._owners = owners
        self._reduced = reduced
        self._scale = scale
        self._projection = projection
        self._mean = mean
        # What a cosine needs of the mean: |m + Pz|^2 = |m|^2 + 2 (P'm)z + |z|^2, for P has unit columns.
        wide = mean.astype(np.float32)
        self._mean_coordinates = wide @ projection.astype(np.float32)
        self._mean_square = float(wide @ wide)
        coordinates = reduced.astype(np.float32) * scale
        square = self._mean_square + 2 * (coordinates @ self._mean_coordinates) + (coordinates**2).sum(1)
        self._lengths = np.sqrt(np.maximum(square, 1e-12))

    def __len__(self) -> int:
        return len(self._owners)

    @classmethod
    def build(
        cls,
        texts: Sequence[str],
        labels: Sequence[str],
        embeddings: NDArray[np.floating],
        dimensions: int = 64,
    ) -> Neighbours:
        """The index of `texts` with their `labels` (one each) and unit `embeddings` (n, width).

        The same rows make the same index. Raises ValueError when the three differ in length.
        """
        if not len(texts) == len(labels) == len(embeddings):
            raise ValueError(f"{len(texts)} texts, {len(labels)} labels and {len(embeddings)} embeddings")
        vectors = np.asarray(embeddings, dtype=np.float64)
        mean = vectors.mean(0) if len(texts) else np.zeros(vectors.shape[1])
        centred = vectors - mean
        _, axes = np.linalg.eigh(centred.T @ centred)
        axes = axes[:, ::-1][:, :dimensions]  # eigh sorts from the least variance to the most
        # An axis has no direction of its own: point each to where its largest number is positive.
        axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
        projection = axes.astype(np.float16)
        coordinates = centred @ projection.astype(np.float64)
        reach = np.abs(coordinates).max(0) if len(texts) else np.zeros(axes.shape[1])
        scale = np.where(reach > 0, reach / 127, 1.0).astype(np.float32)
        names = list(dict.fromkeys(labels))
        place = {name: index for index, name in enumerate(names)}
        written = [text.encode() for text in texts]
        return cls(
            b"".join(written),
            np.cumsum([0, *map(len, written)], dtype=np.uint32),
            names,
            np.array([place[label] for label in labels], dtype=np.uint16),
            np.clip(np.rint(coordinates / scale), -127, 127).astype(np.int8),
            scale,
            projection,
            mean.astype(np.float16),
        )

    def save(self, path: Path) -> None:
        """Write the index. The same index makes the same bytes."""
        np.savez_compressed(
            path,
            texts=np.frombuffer(zlib.compress(self._blob, 9), np.uint8),
            lengths=np.diff(self._offsets).astype(np.uint32),
            names=np.frombuffer(json.dumps(self._names).encode(), np.uint8),
            owners=self._owners,
            reduced=self._reduced,
            scale=self._scale,
            projection=self._projection,
            mean=self._mean,
        )

    @classmethod
    def load(cls, path: Path) -> Neighbours:
        """The index of a file. Raises BundleFault for one that cannot be read."""
        try:
            # opened here: NumPy leaves a damaged file open
            with path.open("rb") as file, np.load(file) as saved:
                return cls(
                    zlib.decompress(saved["texts"].tobytes()),
                    np.concatenate([[0], np.cumsum(saved["lengths"])]).astype(np.uint32),
                    json.loads(saved["names"].tobytes()),
                    saved["owners"],
                    saved["reduced"],
                    saved["scale"],
                    saved["projection"],
                    saved["mean"],
                )
        except (OSError, EOFError, KeyError, ValueError, zlib.error, BadZipFile) as error:
            raise BundleFault(f"{path}: the index of training utterances cannot be read: {error}") from error

    def nearest(self, embedding: NDArray[np.floating], k: int) -> list[Neighbour]:
        """The `k` utterances nearest to a unit `embedding` (width,), nearest first; equal texts once."""
        projection, mean = self._projection.astype(np.float32), self._mean.astype(np.float32)
        query = np.asarray((embedding - mean) @ projection, dtype=np.float32)
        dots = (
            self._mean_square
            + self._mean_coordinates @ query
            # converted here and not at loading: four times the memory, for rare explanations
            + self._reduced.astype(np.float32) @ (self._scale * (self._mean_coordinates + query))
        )
        similarity = np.clip(dots / self._lengths, -1, 1)
        found: dict[tuple[str, str], Neighbour] = {}
        for row in np.argsort(-similarity, kind="stable"):
            if len(found) >= k:
                break
            text = self._blob[self._offsets[row] : self._offsets[row + 1]].decode()
            label = self._names[self._owners[row]]
            found.setdefault((text, label), Neighbour(text, label, float(similarity[row])))
        return list(found.values())


class NeighboursFile:
    """A bundle's index, read from disk at the first query: without explanations it costs nothing."""

    def __init__(self, path: Path) -> None:
        """Without the file there are no neighbours; that is no fault."""
        self._path = path
        self._loaded: Neighbours | None = None

    def nearest(self, embedding: NDArray[np.floating], k: int) -> list[Neighbour]:
        """As Neighbours.nearest; empty without a file. Raises BundleFault for a damaged one."""
        if self._loaded is None:
            if not self._path.is_file():
                return []
            self._loaded = Neighbours.load(self._path)
        return self._loaded.nearest(embedding, k)
