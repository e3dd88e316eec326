"""From a trained network to the int8 ONNX graph that is served."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from slmfleet.models.inference.bundle import MODEL_FILE, TOKENIZER_FILE
from slmfleet.models.inference.encoder import Encoder  # loads onnx_runtime
from slmfleet.models.training.network import HIDDEN, MultiHeadEncoder

OPSET = 17


class _OneText(nn.Module):
    """The network for one text without padding, as it is served."""

    def __init__(self, network: MultiHeadEncoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        states = self.network.bert(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=torch.zeros(1, 1, dtype=torch.long),
            position_ids=torch.arange(input_ids.shape[1])[None],
        ).last_hidden_state
        pooled = states.mean(1)
        embedding = nn.functional.normalize(pooled, dim=-1)
        return self.network.intent(pooled), self.network.slot(states), embedding


def export_int8(network: MultiHeadEncoder, path: Path) -> None:
    """Write the network as a dynamically quantised graph. Weights take 7 bits, so that the products do not
    overflow on processors without VNNI: the same bundle must decide alike on every machine."""
    # Here, so that slmfleet.models.inference.onnx_runtime is loaded first.
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder) / "model.onnx"
        export_fp32(network, exact)
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(exact), str(prepared), skip_optimization=True, skip_symbolic_shape=True)
        quantize_dynamic(
            str(prepared),
            str(path),
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            # ONNX cannot infer the output types of the fused nodes.
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    onnx.checker.check_model(str(path))


def export_bundle(network: MultiHeadEncoder, tokenizer: Tokenizer, folder: Path) -> Encoder:
    """Write model and tokenizer into a bundle's folder, and load them as they will be served."""
    folder.mkdir(parents=True, exist_ok=True)
    export_int8(network, folder / MODEL_FILE)
    tokenizer.save(str(folder / TOKENIZER_FILE))
    return Encoder(folder / MODEL_FILE, folder / TOKENIZER_FILE)


def export_fp32(network: MultiHeadEncoder, path: Path) -> None:
    """Write the network as a float graph: the reference for what quantisation costs.

    Each layer's attention becomes one node, which saves a seventh of the time. A sum and its normalisation
    stay two nodes: fused they take four times as long.
    """
    from onnxruntime.transformers.fusion_options import FusionOptions
    from onnxruntime.transformers.optimizer import optimize_model

    network.eval()
    example = torch.ones(1, 8, dtype=torch.long)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The TorchScript exporter warns that it will go; the newer one needs onnxscript and 10 times as long.
        warnings.simplefilter("ignore")
        traced = Path(folder) / "model.onnx"
        torch.onnx.export(
            _OneText(network).eval(),
            (example, example),
            str(traced),
            input_names=["input_ids", "attention_mask"],
            output_names=["intent", "slot", "embedding"],
            dynamic_axes={name: {1: "tokens"} for name in ("input_ids", "attention_mask", "slot")},
            opset_version=OPSET,
            dynamo=False,
        )
        options = FusionOptions("bert")
        # Its quantised form rounds the weights of the normalisation, too.
        options.enable_embed_layer_norm = False
        options.enable_skip_layer_norm = options.enable_bias_skip_layer_norm = False
        heads = network.bert.config.num_attention_heads
        fused = optimize_model(str(traced), "bert", heads, HIDDEN, optimization_options=options, opt_level=0)
    # The optimizer recognises attention by its mask only; one text needs none.
    for node in fused.get_nodes_by_op_type("Attention"):
        del node.input[3:]
    fused.prune_graph(allow_remove_graph_inputs=True)
    fused.save_model_to_file(str(path))
