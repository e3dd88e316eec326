"""From a trained network to the int8 ONNX graph that is served."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from tokenizers import Tokenizer

from slmfleet.models.bundle import MODEL_FILE, TOKENIZER_FILE
from slmfleet.models.encoder import Encoder  # loads onnx_runtime
from slmfleet.models.network import MultiHeadEncoder

OPSET = 17


def export_int8(network: MultiHeadEncoder, path: Path) -> None:
    """Write the network as a dynamically quantised graph. Weights take 7 bits, so that the products do not
    overflow on processors without VNNI: the same bundle must decide alike on every machine."""
    # Here, so that slmfleet.models.onnx_runtime is loaded first.
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder) / "model.onnx"
        export_fp32(network, exact)
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(exact), str(prepared), skip_symbolic_shape=True)
        quantize_dynamic(
            str(prepared), str(path), per_channel=True, reduce_range=True, weight_type=QuantType.QInt8
        )
    onnx.checker.check_model(str(path))


def export_bundle(network: MultiHeadEncoder, tokenizer: Tokenizer, folder: Path) -> Encoder:
    """Write model and tokenizer into a bundle's folder, and give them back as they will be served."""
    folder.mkdir(parents=True, exist_ok=True)
    export_int8(network, folder / MODEL_FILE)
    tokenizer.save(str(folder / TOKENIZER_FILE))
    return Encoder(folder / MODEL_FILE, folder / TOKENIZER_FILE)


def export_fp32(network: MultiHeadEncoder, path: Path) -> None:
    """Write the network as a float graph: the reference for what quantisation costs."""
    network.eval()
    example = (torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long))
    with warnings.catch_warnings():
        # The TorchScript exporter warns that it will go; the newer one needs onnxscript and 10 times as long.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            example,
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["intent", "slot", "embedding"],
            dynamic_axes={
                "input_ids": {0: "batch", 1: "tokens"},
                "attention_mask": {0: "batch", 1: "tokens"},
                "intent": {0: "batch"},
                "slot": {0: "batch", 1: "tokens"},
                "embedding": {0: "batch"},
            },
            opset_version=OPSET,
            dynamo=False,
        )
