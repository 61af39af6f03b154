"""The canonical form and the chain of uploads: golden vectors for every language, and properties of any journal."""

import json
import unicodedata
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from contracts.uploads import DEPTH, LARGEST, NotCanonical, canonical, check_form, digest_of, next_link, signed_bytes

VECTORS = json.loads((Path(__file__).parents[2] / "contracts/vectors/uploads.json").read_text())

texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00")).map(
    lambda text: unicodedata.normalize("NFC", text)
)
names = st.text(st.characters(codec="ascii", exclude_characters="\x00"), max_size=8)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)
bodies = st.dictionaries(names, values, max_size=4)
misfits = st.sampled_from([0.5, 1.0, float("nan"), LARGEST + 1, -LARGEST - 1, "\x00", "\udc00", "e\u0301"])


@pytest.mark.parametrize("vector", VECTORS["canonical"], ids=lambda one: one["hash"][:6])
def test_golden_bytes(vector: dict[str, Any]) -> None:
    check_form(vector["value"])
    assert canonical(vector["value"]) == vector["text"].encode()
    assert digest_of(canonical(vector["value"])) == vector["hash"]


@pytest.mark.parametrize("vector", VECTORS["not_canonical"], ids=lambda one: one["place"][:12])
def test_golden_refusals(vector: dict[str, Any]) -> None:
    with pytest.raises(NotCanonical) as refused:
        check_form(json.loads(vector["json"]))
    assert refused.value.place == vector["place"]


@pytest.mark.parametrize("chain", VECTORS["chains"], ids=lambda one: one["owner"])
def test_golden_chain_and_signature(chain: dict[str, Any]) -> None:
    link = chain["thumbprint"]
    assert digest_of(canonical(chain["key"])) == link, "RFC 7638"
    for upload in chain["uploads"]:
        assert upload["prev_hash"] == link
        assert upload["body_hash"] == digest_of(canonical(upload["row"]["body"]))
        link = next_link(chain["owner"], upload["row"], link)
        assert upload["link"] == link
    x, y, signature = (
        urlsafe_b64decode(text + "==")
        for text in (chain["key"]["x"] + "=", chain["key"]["y"] + "=", chain["signature"])
    )
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + x + y)
    encoded = encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
    key.verify(encoded, signed_bytes(link), ec.ECDSA(SHA256()))


@given(values)
def test_the_form_is_written_without_loss_and_once_only(value: Any) -> None:
    check_form(value)
    written = canonical(value)
    assert json.loads(written) == value
    assert canonical(json.loads(written)) == written


@given(bodies, st.randoms())
def test_the_order_of_names_does_not_matter(body: dict[str, Any], random: Any) -> None:
    mixed = list(body.items())
    random.shuffle(mixed)
    assert canonical(dict(mixed)) == canonical(body)


@given(values, st.lists(st.one_of(names, st.integers(0, 3)), max_size=4), misfits)
def test_the_first_misfit_is_named_by_its_place(fitting: Any, path: list[str | int], misfit: Any) -> None:
    value: Any = misfit
    for step in reversed(path):
        value = {step: value} if isinstance(step, str) else [*[fitting] * step, value]
    with pytest.raises(NotCanonical) as refused:
        check_form(value, "/uploads/0/body")
    steps = [str(step).replace("~", "~0").replace("/", "~1") for step in path]
    assert refused.value.place == "/".join(["/uploads/0/body", *steps])


@given(st.integers(DEPTH + 1, 200))
def test_deep_nesting_is_refused(levels: int) -> None:
    value: Any = {}
    for _ in range(levels):
        value = [value]
    with pytest.raises(NotCanonical, match="nested too deeply"):
        check_form(value)


rows = st.fixed_dictionaries({
    "device": st.just("d1"), "session": st.sampled_from(["a", "b"]), "seq": st.integers(1, 9),
    "recorded_at": st.just("2026-05-02T07:00:00+08:00"), "kind": st.sampled_from(["sale", "void"]), "body": bodies,
})  # fmt: skip


def head(journal: list[dict[str, Any]], owner: str = "terminal/t1", start: str = "k" * 43) -> str:
    """The last link of a journal."""
    link = start
    for row in journal:
        link = next_link(owner, row, link)
    return link


@given(st.lists(rows, min_size=1, max_size=5), st.data())
def test_any_change_before_the_head_changes_it(journal: list[dict[str, Any]], data: st.DataObject) -> None:
    n = data.draw(st.integers(0, len(journal) - 1))
    name, other = data.draw(
        st.sampled_from([("device", "d2"), ("session", "c"), ("seq", 10), ("recorded_at", "x"), ("kind", "open")])
        | st.tuples(st.just("body"), bodies)
    )
    changed = [{**row, name: other} if i == n else row for i, row in enumerate(journal)]
    assert (head(changed) == head(journal)) == (canonical(changed) == canonical(journal))
    assert head(journal[:n] + journal[n + 1 :]) != head(journal), "a row is left out"
    assert head(journal, owner="courier/t1") != head(journal)
    assert head(journal, owner="terminal/t2") != head(journal)
    assert head(journal, start="j" * 43) != head(journal)
    assert (head(journal[::-1]) == head(journal)) == (canonical(journal[::-1]) == canonical(journal))
