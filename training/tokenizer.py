"""Train a small CLIP vocabulary that keeps the common words whole."""

from __future__ import annotations

import json

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from transformers import CLIPTokenizer

from . import captions
from .plan import Plan
from .stickers import Sticker

LENGTH = 60  # positions, start and end included; the last 49 hold a portrait, see text.py
START, END = "<|startoftext|>", "<|endoftext|>"
WORD = r"""<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""  # as CLIP


def train(texts: list[str], size: int) -> tuple[dict[str, int], list[str]]:
    """Return (vocabulary, merges): byte-pair encoding learnt from `texts`, of at most about `size` tokens."""
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=END, continuing_subword_prefix=""))
    bpe.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    # Every byte may also end a word, so that any text can be encoded.  These tokens are given as special tokens: the
    # trainer would otherwise number them in the order of a hash table, which also decides ties between merges.
    ends = [letter + "</w>" for letter in letters]
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=size - 2,
            initial_alphabet=letters,
            end_of_word_suffix="</w>",
            special_tokens=ends,
            min_frequency=2,
            show_progress=False,
        ),
    )
    model = json.loads(bpe.to_str())["model"]
    vocabulary = model["vocab"]
    for token in (START, END):
        vocabulary.setdefault(token, len(vocabulary))
    return vocabulary, [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]


def load(stickers: list[Sticker], plan: Plan) -> CLIPTokenizer:
    """Return the run's tokenizer; train it on the stickers' captions if there is none yet."""
    folder = plan.work / "tokenizer"
    if not folder.exists():
        part = folder.with_name("tokenizer.part")
        part.mkdir(parents=True, exist_ok=True)
        vocabulary, merges = train(captions.corpus(stickers), plan.vocabulary)
        files = {"vocab": part / "vocab.json", "merges": part / "merges.txt"}
        files["vocab"].write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
        files["merges"].write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
        CLIPTokenizer(**{name: str(file) for name, file in files.items()}, model_max_length=LENGTH).save_pretrained(
            part
        )
        part.rename(folder)  # only a complete folder gets this name
    return CLIPTokenizer.from_pretrained(folder)


def encode(tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """Return int64 [B, 60]: the tokens of each text, padded to one length."""
    return tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt").input_ids
