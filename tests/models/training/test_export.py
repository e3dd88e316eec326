from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from slmfleet.models.fleet.loading import load_fleet  # noqa: E402
from slmfleet.models.inference.encoder import Encoder  # noqa: E402
from slmfleet.models.inference.onnx_runtime import ort  # noqa: E402
from slmfleet.models.training.data import load_corpus  # noqa: E402
from slmfleet.models.training.distill import distilled_base  # noqa: E402
from slmfleet.models.training.export import export_fp32, export_int8  # noqa: E402
from slmfleet.models.training.network import MultiHeadEncoder, base_folder, build  # noqa: E402
from slmfleet.models.training.recipe import SPECIALIST_BASE  # noqa: E402
from slmfleet.models.training.specialist import fleet_texts  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
LAYERS = (0, 5)
TINY = replace(SPECIALIST_BASE, layers=LAYERS, vocabulary=1_500, epochs=1)


@pytest.fixture(scope="module")
def network() -> MultiHeadEncoder:
    torch.manual_seed(3)
    return build(range(1_500), LAYERS, intents=4, slot_labels=3, max_tokens=64).eval()


def asked(path: Path, ids: list[int]) -> list[np.ndarray]:
    return list(ort.InferenceSession(str(path)).run(None, {"input_ids": np.array([ids])}))


@pytest.mark.parametrize("length", [1, 2, 9, 64])
def test_the_graph_says_of_one_text_what_the_network_says_of_it_in_a_batch(
    network: MultiHeadEncoder, tmp_path: Path, length: int
) -> None:
    ids = np.random.default_rng(length).integers(1_000, 1_500, length).tolist()
    padded = torch.tensor([[*ids, *[0] * (64 - length)], [1_234] * 64])
    with torch.no_grad():
        wanted = network(padded, (padded != 0).long())
    export_fp32(network, tmp_path / "model.onnx")
    intent, slot, embedding = asked(tmp_path / "model.onnx", ids)
    assert np.allclose(intent[0], wanted[0][0], atol=1e-4)
    assert np.allclose(slot[0], wanted[1][0, :length], atol=1e-4)
    assert np.allclose(embedding[0], wanted[2][0], atol=1e-5)
    assert not network.training  # it is left as it was
    assert not network.bert.training


def test_layers_are_fused_into_few_nodes(network: MultiHeadEncoder, tmp_path: Path) -> None:
    # Where a library writes attention otherwise, it may come out unfused: right, and slower.
    export_fp32(network, tmp_path / "fp32.onnx")
    export_int8(network, tmp_path / "int8.onnx")
    kinds = {
        name: Counter(node.op_type for node in onnx.load(tmp_path / f"{name}.onnx").graph.node)
        for name in ("fp32", "int8")
    }
    assert kinds["fp32"]["Attention"] == kinds["int8"]["QAttention"] == len(LAYERS)
    assert not {"Softmax", "Transpose", "Where"} & {*kinds["fp32"], *kinds["int8"]}
    assert "MatMul" not in kinds["int8"]


def test_a_sum_and_its_normalisation_are_served_apart(
    network: MultiHeadEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # ONNX Runtime joins them where it is let, and takes four times as long for it.
    export_int8(network, tmp_path / "int8.onnx")
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "served.onnx")
    monkeypatch.setattr(ort, "SessionOptions", lambda: options)
    Encoder(tmp_path / "int8.onnx", base_folder() / "tokenizer.json")
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "served.onnx").graph.node)
    assert kinds["SkipLayerNormalization"] == 0
    assert kinds["LayerNormalization"] == 2 * len(LAYERS) + 1
    # A product's bias is added within it: what is left are the sums, and two of the embeddings.
    assert kinds["Add"] == 2 * len(LAYERS) + 2


def test_a_table_is_rounded_and_a_normalisation_is_not(network: MultiHeadEncoder, tmp_path: Path) -> None:
    export_int8(network, tmp_path / "int8.onnx")
    kept = {one.name: one.data_type for one in onnx.load(tmp_path / "int8.onnx").graph.initializer}
    norm = next(kind for name, kind in kept.items() if name.endswith("embeddings.LayerNorm.weight"))
    assert norm == onnx.TensorProto.FLOAT
    table = next(kind for name, kind in kept.items() if "word_embeddings" in name and "quantized" in name)
    assert table == onnx.TensorProto.UINT8


def test_int8_embeds_nearly_as_fp32_does(make_fleet: Callable[..., Path], tmp_path: Path) -> None:
    fleet = load_fleet(make_fleet())
    torch.manual_seed(3)
    corpus = load_corpus(fleet)
    tokenizer, weights = distilled_base(fleet_texts(fleet, corpus), tmp_path, lambda done, total: None, TINY)
    network = build(range(tokenizer.get_vocab_size()), TINY.layers, 4, 3, 64)
    network.bert.load_state_dict(weights)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    export_int8(network, tmp_path / "int8.onnx")
    export_fp32(network, tmp_path / "fp32.onnx")
    small, exact = (
        Encoder(tmp_path / f"{name}.onnx", tmp_path / "tokenizer.json") for name in ("int8", "fp32")
    )
    likeness = [
        float(small.encode(row.text).embedding @ exact.encode(row.text).embedding) for row in corpus.train
    ]
    assert np.mean(likeness) > 0.98
    assert (tmp_path / "int8.onnx").stat().st_size < 0.35 * (tmp_path / "fp32.onnx").stat().st_size
    torch.use_deterministic_algorithms(False)
