"""Tiny encoders with random weights, saved as the real ones are."""

from pathlib import Path
from typing import Any

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] a film about shark sharks attack beach town tax report of the bank".split()


def tiny_bert(folder: Path, *, seed: int = 0, kind: str = "BertModel", **changes: Any) -> Path:
    """A BERT of 2 layers and 16 numbers with a tokenizer of 18 words."""
    import torch
    import transformers

    torch.manual_seed(seed)
    shape: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    shape |= {"intermediate_size": 32, "vocab_size": len(WORDS), "max_position_embeddings": 64}
    model = getattr(transformers, kind)(transformers.BertConfig(**(shape | changes)))
    with torch.no_grad():  # as drawn, weights are so small that all texts look alike
        for weight in model.parameters():
            weight.normal_(0, 0.3)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    transformers.BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def tiny_resnet(folder: Path, *, seed: int = 0, kind: str = "ResNetModel") -> Path:
    """A ResNet of 2 stages and 16 numbers for pictures of 32 x 32."""
    import torch
    import transformers
    from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil

    torch.manual_seed(seed)
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    getattr(transformers, kind)(config).save_pretrained(folder)
    ConvNextImageProcessorPil(size={"shortest_edge": 32}, crop_pct=0.875).save_pretrained(folder)
    return folder


def tiny_vit(folder: Path) -> Path:
    """A vision transformer with a cls token, for pictures of 32 x 32."""
    import torch
    import transformers
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    torch.manual_seed(0)
    shape: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32}
    config = transformers.ViTConfig(intermediate_size=32, patch_size=8, **shape)
    transformers.ViTModel(config).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def flip_a_weight(folder: Path) -> None:
    """Change one byte of the last weight."""
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


def tiny_deberta(folder: Path) -> Path:
    """A DeBERTa v2 of 2 layers and 16 numbers whose tokenizer is a SentencePiece model only."""
    import sentencepiece
    import torch
    import transformers

    folder.mkdir(parents=True)
    (folder / "text.txt").write_text("\n".join(f"{a} {b}" for a in WORDS for b in WORDS), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text.txt"), model_prefix=str(folder / "spm"), vocab_size=40, model_type="unigram",
        pad_id=0, pad_piece="[PAD]", unk_id=3, unk_piece="[UNK]", bos_id=1, bos_piece="[CLS]", eos_id=2,
        eos_piece="[SEP]", minloglevel=2,
    )  # fmt: skip
    torch.manual_seed(0)
    shape: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 64}
    config = transformers.DebertaV2Config(
        intermediate_size=32, relative_attention=True, pos_att_type=["p2c", "c2p"], max_position_embeddings=64, **shape
    )
    transformers.DebertaV2Model(config).save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "DebertaV2Tokenizer", "vocab_type": "spm"}')
    return folder


def tiny_clip(folder: Path) -> Path:
    """A CLIP of two towers of 16 numbers that share a space of 8, for pictures of 32 x 32."""
    import torch
    import transformers
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    tower: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    tower |= {"intermediate_size": 32, "projection_dim": 8}
    text = tower | {"vocab_size": len(WORDS), "max_position_embeddings": 16, "eos_token_id": 3, "pad_token_id": 0}
    config = transformers.CLIPConfig(
        text_config=text, vision_config=tower | {"image_size": 32, "patch_size": 8}, projection_dim=8
    )
    transformers.CLIPModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    transformers.BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder
