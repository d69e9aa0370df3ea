"""Tiny encoders with random weights, saved as the real ones are."""

import json
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


def tiny_vit(folder: Path, *, kind: str = "ViT") -> Path:
    """A vision transformer for pictures of 32 x 32, such as ViT, which has a cls token, and Swin, which has none."""
    import torch
    import transformers
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    torch.manual_seed(0)
    shape: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32}
    shape |= {"intermediate_size": 32, "patch_size": 8}
    if kind == "Swin":
        shape = {"embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 2, "image_size": 32}
        shape |= {"patch_size": 4}
    if kind == "Yolos":
        shape |= {"num_detection_tokens": 3, "image_size": [32, 32]}
    if kind == "ViTMAE":
        shape |= {"decoder_hidden_size": 16, "decoder_intermediate_size": 32, "decoder_num_attention_heads": 2}
    config = getattr(transformers, f"{kind}Config")(**shape)
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
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


def tiny_clap(folder: Path, *, truncation: str = "rand_trunc", padding: str = "repeatpad") -> Path:
    """A CLAP of two towers that share a space of 8, for a second at 8 kHz at once."""
    import torch
    import transformers

    torch.manual_seed(0)
    text: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 20}
    sound: dict[str, Any] = {"hidden_size": 16, "patch_embeds_hidden_size": 8, "depths": [1, 1], "window_size": 4}
    sound |= {"num_attention_heads": [1, 2], "num_hidden_layers": 2, "spec_size": 64, "num_mel_bins": 16}
    config = transformers.ClapConfig(
        text_config=text | {"intermediate_size": 32, "projection_dim": 8},
        audio_config=sound | {"enable_fusion": False, "projection_dim": 8},
        projection_dim=8,
    )
    model = transformers.ClapModel(config)
    with torch.no_grad():  # as drawn, weights are so small that all clips sound alike
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.5)
        model.audio_model.audio_encoder.batch_norm.running_mean.fill_(-30)  # levels are in dB
        model.audio_model.audio_encoder.batch_norm.running_var.fill_(400)
    model.save_pretrained(folder)
    transformers.ClapFeatureExtractor(
        feature_size=16, sampling_rate=8_000, hop_length=80, max_length_s=1, fft_window_size=256, frequency_min=50,
        frequency_max=4_000, truncation=truncation, padding=padding,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def tiny_hubert(folder: Path, **changes: Any) -> Path:
    """A HuBERT of 2 layers and 16 numbers at 8 kHz; `changes` to its configuration."""
    import torch
    import transformers

    torch.manual_seed(0)
    shape: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    shape |= {"intermediate_size": 32, "conv_dim": [8] * 7, "num_conv_pos_embeddings": 16}
    config = transformers.HubertConfig(num_conv_pos_embedding_groups=2, mask_time_prob=0.0, **shape)
    transformers.HubertModel(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=8_000, return_attention_mask=True).save_pretrained(folder)
    if changes:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    return folder
