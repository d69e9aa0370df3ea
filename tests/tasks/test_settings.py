"""A catalogue that cannot be used says where, what is wrong and what to write instead."""

from pathlib import Path
from typing import Any

import pytest

from expectations.registry import checks_of
from tasks.items import DESCRIPTION
from tasks.settings import SHIPPED, Catalogue, CatalogueError, SourceSettings, load_catalogue, shipped
from tasks.settings_encoders import EncoderSettings
from tasks.settings_stages import FeaturizerSettings, ValidationSettings

GOOD = """\
catalogue: shelf
about: Some films
sources:
  movielens:
    connector: movielens
    path: films
  tmdb:
    connector: tmdb_files
    path: tmdb
    items: false
    fields: [overview, keywords]
featurizers:
  tabular:
    numeric: [year]
  minilm:
    batch_size: 8
"""


@pytest.fixture
def refused(tmp_path: Path):
    """Writes `text` to shelf.yaml and gives what loading it says."""

    def load(text: str) -> str:
        file = tmp_path / "shelf.yaml"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(CatalogueError) as error:
            load_catalogue(str(file))
        return str(error.value)

    return load


def edited(old: str, new: str) -> str:
    """The good catalogue with one piece replaced."""
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def test_a_catalogue_knows_how_another_process_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shelf.yml").write_text(GOOD, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_catalogue("shelf.yml").asked_as == str(tmp_path / "shelf.yml")
    assert load_catalogue("demo").asked_as == load_catalogue(str(SHIPPED / "demo.yaml")).asked_as == "demo"


def test_a_recipe_beside_the_catalogue_is_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = "training:\n  recipes: [mine.yaml, next-track, elsewhere.yaml]\n"
    (tmp_path / "shelf.yml").write_text(GOOD + named, encoding="utf-8")
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "next-track").touch()  # a shipped recipe is meant
    (tmp_path / "worker").mkdir()
    monkeypatch.chdir(tmp_path / "worker")
    assert load_catalogue("../shelf.yml").recipes == (str(tmp_path / "mine.yaml"), "next-track", "elsewhere.yaml")


def test_a_good_catalogue_is_taken_as_written(tmp_path: Path) -> None:
    (tmp_path / "shelf.yml").write_text(GOOD, encoding="utf-8")
    found = load_catalogue(str(tmp_path / "shelf.yml"))
    assert (list(found.sources), found.sources["tmdb"].fields) == (["movielens", "tmdb"], ("overview", "keywords"))
    assert found.featurizers.minilm is not None
    assert (found.featurizers.minilm.batch_size, found.featurizers.minilm.max_tokens) == (8, 512)
    assert found.store_url.endswith("/shelf")


@pytest.mark.parametrize("name", shipped())
def test_shipped_catalogues_load(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIATECA_REAL_DATA", "real")
    assert load_catalogue(name).catalogue == name


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "about:",
            "abuot:",
            "shelf.yaml, line 2: unknown key 'abuot'; did you mean 'about'? allowed here: about, audio, catal",
        ),
        (
            "path: films",
            "pth: films",
            "line 6: unknown key 'pth'; did you mean 'path'? allowed here: connector, fields",
        ),
        (
            "minilm:",
            "minlm:",
            "line 15: unknown featurizer 'minlm'; did you mean 'minilm'? known: audio_descriptors, bert, bert_mult",
        ),
        (
            "batch_size: 8",
            "bach_size: 8",
            "line 16: unknown key 'bach_size'; did you mean 'batch_size'? allowed here: architecture, batch",
        ),
        (
            "numeric: [year]",
            "numbers: [year]",
            "line 14: unknown key 'numbers'; did you mean 'numeric'? allowed here: genres, numeric",
        ),
    ],
)
def test_a_misspelt_key_is_named_with_its_line_and_the_nearest(refused, old: str, new: str, said: str) -> None:
    assert said in refused(edited(old, new))


def test_a_misspelt_option_is_named_with_its_line_and_the_nearest(refused) -> None:
    text = edited("    path: films\n", "    path: films\n    options:\n      rating: a.csv\n")
    text = text.replace("    path: tmdb\n", "    path: tmdb\n    options: {ids: imdb}\n")
    assert refused(text).split("\n") == [
        "shelf.yaml, line 8: unknown option 'rating' of 'movielens'; did you mean 'ratings'? known: ratings",
        "shelf.yaml, line 12: unknown option 'ids' of 'tmdb_files'; 'tmdb_files' has none",
    ]


@pytest.mark.parametrize("name", ["server", "worlds"])
def test_a_folder_of_the_home_is_no_catalogue(refused, tmp_path: Path, name: str) -> None:
    text = edited("catalogue: shelf", f"catalogue: {name}")
    assert f"MEDIATECA_HOME has a folder '{name}' of its own; name the catalogue otherwise" in refused(text)
    (tmp_path / "elsewhere.yaml").write_text(f"store: elsewhere\n{text}")
    assert load_catalogue(str(tmp_path / "elsewhere.yaml")).catalogue == name


def test_sources_named_like_keys_confuse_nothing(refused) -> None:
    text = edited("  tmdb:\n", "  items:\n").replace("fields: [overview", "feilds: [overview")
    assert "line 11: unknown key 'feilds'; did you mean 'fields'?" in refused(text)


def test_every_fault_is_told_at_once(refused) -> None:
    said = refused(edited("path: films", "pth: films").replace("batch_size: 8", "bach_size: 8"))
    assert sorted(line.partition(";")[0] for line in said.split("\n")) == [
        "shelf.yaml, line 16: unknown key 'bach_size'",
        "shelf.yaml, line 4: 'sources.movielens' needs the key 'path'",
        "shelf.yaml, line 6: unknown key 'pth'",
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("catalogue: shelf\n", "", "line 1: 'the catalogue' needs the key 'catalogue'"),
        ("    path: films\n", "", "line 4: 'sources.movielens' needs the key 'path'"),
        ("    numeric: [year]\n", "    genres: true\n", "line 13: 'featurizers.tabular' needs the key 'numeric'"),
    ],
)
def test_a_missing_key_is_named_with_where_it_belongs(refused, old: str, new: str, said: str) -> None:
    assert said in refused(edited(old, new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("items: false", "items: perhaps", "line 10: 'sources.tmdb.items': Input should be a valid boolean"),
        (
            "batch_size: 8",
            "batch_size: 0",
            "line 16: 'featurizers.minilm.batch_size': Input should be greater than or equal to 1",
        ),
        ("numeric: [year]", "numeric: year", "line 14: 'featurizers.tabular.numeric'"),
        ("numeric: [year]", "numeric: []", "line 14: 'featurizers.tabular.numeric'"),
        ("catalogue: shelf", "catalogue: ../shelf", "line 1: 'catalogue': String should match pattern"),
        ("  tmdb:\n", "  it's:\n", "line 7: 'sources.it's.[key]': String should match pattern"),
        ("  tmdb:\n", "  a:b:\n", "line 7: 'sources.a:b.[key]': String should match pattern"),
    ],
)
def test_a_wrong_value_is_shown_with_what_was_expected(refused, old: str, new: str, said: str) -> None:
    assert said in refused(edited(old, new))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "bert: {max_token: 9}",
            "unknown key 'max_token'; did you mean 'max_tokens'? allowed here: architecture",
        ),
        (
            "bert: {pooling: max}",
            "'featurizers.bert.pooling': Input should be 'cls', 'mean', 'last', 'pooler' or 'projection', found",
        ),
        ("bert: {device: gpu}", "'featurizers.bert.device': String should match pattern"),
        ("bert: {model: some/model}", "model 'some/model' of the Hugging Face hub: revision '' is not a commit; copy"),
        ("resnet18: {revision: main}", "hub: revision 'main' is not a commit; copy its 40 hex digits"),
        (f"resnet18: {{model: ./mine, revision: {'f' * 40}}}", "'./mine' is a folder and has no revision; leave"),
        ("bertt: {}", "unknown featurizer 'bertt'; did you mean 'bert'? known: audio_descriptors, bert, "),
        ("Mine: {family: text, model: ./mine}", "featurizer 'Mine': a name is lower-case letters, digits and single _"),
        ("a__rows: {family: text, model: ./mine}", "featurizer 'a__rows': a name is lower-case letters, digits and si"),
        ("texts: {family: text, model: ./mine}", "featurizer 'texts': another stage has that name"),
        ("sbert: {family: image}", "'sbert' reads documents; take a name of your own"),
        (f"mine: {{family: text, model: a/b c, revision: {'f' * 40}}}", "model 'a/b c' is no name of the Hugging Face"),
        ("mert: {piece_s: .inf}", "Input should be a finite number"),
        ("mine: {model: ./mine}", "'featurizers.mine' needs the key 'family'"),
        (
            "mine: {family: sound, model: ./mine}",
            "'featurizers.mine.family': Input should be 'text', 'image' or 'audio'",
        ),
        ("resnet18: {max_tokens: 9}", "`max_tokens` is of encoders of documents; 'resnet18' reads pictures"),
        ("bert: {piece_s: 5}", "`piece_s` is of encoders of recordings; 'bert' reads documents"),
        (
            "melae: {}",
            "'melae', to be trained on a catalogue's own recordings, is not there yet",
        ),
        ("sbert: {normalise: false}", "`normalise` of 'sbert' is true; take a name of your own for another"),
        ("bert: {pooling: pooler, layer: 3}", "the pooler is of the last layer; leave `layer` out"),
        (
            "bert: {precision: int8}",
            "`precision: int8` is not offered for google-bert/bert-base-uncased, whose vectors",
        ),
        (
            "mdeberta: {precision: fp16}",
            "is not offered for microsoft/mdeberta-v3-base, whose vectors are not known to",
        ),
        ("clip: {precision: int4}", "'featurizers.clip.precision': Input should be 'fp32', 'bf16', 'fp16' or 'int8'"),
        ("fast: {family: text, model: ./mine, precision: int8}", "write one of fp32, bf16, fp16"),
        ("bert: {compile: true}", "`compile` is of GPUs, and the device is 'cpu'; leave it out, or write cuda"),
        ("image_descriptors: {size: 9}", "unknown key 'size'; allowed here: "),
        ("bert: true", "expected keys and values, such as `{precision: bf16}`, or `{}` for the usual ones"),
        ("mine:", "unknown featurizer 'mine'"),
    ],
)
def test_what_an_encoder_cannot_be_is_told_before_anything_runs(refused, written: str, said: str) -> None:
    found = refused(GOOD + f"  {written}\n")
    assert "line 17: " in found
    assert said in found


def test_int8_is_of_cpus(tmp_path: Path) -> None:
    of = {"model": "sentence-transformers/all-MiniLM-L6-v2", "family": "text", "precision": "int8"}
    assert EncoderSettings.model_validate({"name": "quick", **of}).arguments["precision"] == "int8"
    with pytest.raises(ValueError, match="`precision: int8` is of CPUs, and the device is 'cuda'; write bf16"):
        EncoderSettings.model_validate({"name": "quick", "device": "cuda", **of})


def test_an_encoder_with_nothing_behind_its_name_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "shelf.yml").write_text(GOOD + "  bert:\n  mel:\n")  # as a dump has `mel` where it is off
    assert list(load_catalogue(str(tmp_path / "shelf.yml")).featurizers.chosen) == ["minilm", "bert", "tabular"]


def test_encoders_have_their_known_weights_by_default(tmp_path: Path) -> None:
    (tmp_path / "shelf.yml").write_text(GOOD + "  bert: {}\n  resnet18: {}\n  image_descriptors: {}\n")
    chosen = load_catalogue(str(tmp_path / "shelf.yml")).featurizers
    assert list(chosen.chosen) == ["minilm", "bert", "resnet18", "image_descriptors", "tabular"]
    assert chosen.bert is not None
    assert chosen.resnet18 is not None
    assert (chosen.bert.model, chosen.bert.pooling) == ("google-bert/bert-base-uncased", "mean")
    assert (chosen.resnet18.model, chosen.resnet18.pooling) == ("microsoft/resnet-18", "pooler")


def test_a_connector_that_does_not_exist_is_told_before_anything_runs(refused) -> None:
    said = refused(edited("connector: movielens", "connector: movielense"))
    assert "line 5: unknown connector 'movielense'; did you mean 'movielens'? known: genius, hetrec" in said


def test_a_field_that_items_do_not_have_is_told(refused) -> None:
    said = refused(edited("[overview, keywords]", "[overwiew]"))
    assert "line 11: unknown field 'overwiew'; did you mean 'overview'? known: actors, adult" in said


def test_fields_are_those_that_items_take(tmp_path: Path) -> None:
    assert SourceSettings(connector="mpd", path="x", fields=DESCRIPTION).fields == DESCRIPTION


def test_separate_names_a_source_of_the_catalogue(refused) -> None:
    said = refused(GOOD + "separate: ['tmdb:862', 'movielns:1']\n")
    assert "line 17: unknown source 'movielns'; did you mean 'movielens'? known: movielens, tmdb" in said


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (
            "{features: [minlm]}",
            "line 17: the catalogue builds no feature 'minlm'; did you mean 'minilm'? under `featurizers:` are: minilm",
        ),
        ("{features: [minilm, minilm]}", "line 17: the feature 'minilm' is named twice; name it once"),
        (
            "{featurs: [minilm]}",
            "unknown key 'featurs'; did you mean 'features'? allowed here: features, flat_up_to, le",
        ),
        ("{metric: cosin}", "line 17: 'index.metric': Input should be 'cosine' or 'l2', found 'cosin'"),
        ("{flat_up_to: -1}", "line 17: 'index.flat_up_to': Input should be greater than or equal to 0, found -1"),
        ("{least_recall: 95}", "line 17: 'index.least_recall': Input should be less than or equal to 1, found 95"),
    ],
)
def test_an_index_that_cannot_be_made_is_told(refused, index: str, said: str) -> None:
    assert said in refused(GOOD + f"index: {index}\n")


def test_what_is_indexed_is_what_is_built(refused) -> None:
    said = refused(GOOD.replace("  minilm:\n    batch_size: 8\n", "") + "index: {features: [tabular, minilm]}\n")
    assert said == "shelf.yaml, line 15: the catalogue builds no feature 'minilm'; under `featurizers:` are: tabular"


def test_a_catalogue_without_sources_is_refused(refused) -> None:
    assert "line 2: 'sources'" in refused("catalogue: shelf\nsources: {}\n")
    assert "line 2: 'sources': Input should be a valid dictionary, found None" in refused(
        "catalogue: shelf\nsources:\n"
    )


def test_an_alias_of_itself_is_refused(refused) -> None:
    assert "shelf.yaml, line 1: an alias of what it stands in" in refused("catalogue: &a [*a]\n")


def test_a_second_key_of_the_same_name_would_lose_the_first(refused) -> None:
    said = refused(edited("  tmdb:\n", "  movielens:\n"))
    assert "shelf.yaml, line 7: the key 'movielens' stands in line 4 too; rename one" in said


@pytest.mark.parametrize("name", ["NOWHERE_TO_BE_FOUND", "nowhere"])
def test_a_variable_that_is_not_set_is_named_with_its_line(refused, name: str) -> None:
    said = refused(edited("path: films", f"path: ${{{name}}}/films"))
    assert said == f"shelf.yaml, line 6: ${{{name}}} is not set; export {name}=/where/the/files/are"


def test_variables_are_taken_from_the_environment(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELF_FILES", "a/b")
    text = edited("path: films", "path: ${SHELF_FILES}/${MEDIATECA_HOME}")
    (tmp_path / "shelf.yaml").write_text(text, encoding="utf-8")
    assert load_catalogue(str(tmp_path / "shelf.yaml")).sources["movielens"].path == f"a/b/{home}"


def test_a_store_may_lie_in_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "shelf.yaml").write_text(GOOD + "store: ~/shelf\n", encoding="utf-8")
    assert load_catalogue(str(tmp_path / "shelf.yaml")).store_url == str(tmp_path / "shelf")
    (tmp_path / "shelf.yaml").write_text(GOOD + "store: s3://bucket/shelf\n", encoding="utf-8")
    assert load_catalogue(str(tmp_path / "shelf.yaml")).store_url == "s3://bucket/shelf"


@pytest.mark.parametrize("text", ["sources: [a", "\t- a", "a: b: c", "{\x00}", "a: 1\n---\nb: 2\n"])
def test_what_is_not_yaml_is_said_to_be(refused, text: str) -> None:
    assert refused(text).startswith("shelf.yaml: not a YAML file that can be read: ")


@pytest.mark.parametrize(
    ("text", "found"), [("", "nothing"), ("# later\n", "nothing"), ("- a\n", "list"), ("a", "str")]
)
def test_what_is_no_catalogue_is_said_to_be(refused, text: str, found: str) -> None:
    assert refused(text) == f"shelf.yaml: expected keys such as `catalogue:` and `sources:`, found {found}"


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shelf.yaml").write_bytes("about: Café".encode("latin-1"))
    with pytest.raises(CatalogueError, match=r"shelf\.yaml: not a YAML file that can be read"):
        load_catalogue(str(tmp_path / "shelf.yaml"))


def test_an_unknown_catalogue_names_the_nearest() -> None:
    with pytest.raises(
        CatalogueError, match="no catalogue 'demmo': did you mean 'demo'\\? shipped: demo, demo-files, films, music"
    ):
        load_catalogue("demmo")
    with pytest.raises(CatalogueError, match=r"no catalogue 'shelf\.yaml': shipped: .* writes one"):
        load_catalogue("shelf.yaml")


VALIDATION = """\
validation:
  default: off
  checks: {items.title_not_null: block, features.zero_norm: off, features/minilm.zero_norm: warn}
  thresholds: {features.coverage: 0.9}
"""


def test_checks_are_set_one_by_one_the_nearest_name_counting(tmp_path: Path) -> None:
    (tmp_path / "shelf.yaml").write_text(GOOD + VALIDATION, encoding="utf-8")
    found = load_catalogue(str(tmp_path / "shelf.yaml")).validation
    zero, coverage = checks_of("features")["zero_norm"], checks_of("features")["coverage"]
    assert found.severity("items", checks_of("items")["title_not_null"]) == "block"
    assert found.severity("items", checks_of("items")["kind_known"]) == "off"
    assert found.severity("features/minilm", zero) == "warn"
    assert found.severity("features/tabular", zero) == "off"
    assert (found.threshold("features/tabular", coverage), coverage.threshold) == (0.9, 0.7)
    assert ValidationSettings().severity("features/tabular", zero) == "block"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("items.title_not_null", "items.titel_not_null", "did you mean 'items.title_not_null'? known: "),
        ("features/minilm.zero_norm", "features/minilm.zero_nrm", "did you mean 'features.zero_norm'? known: "),
        ("features.coverage", "coverage", "unknown check '.coverage'"),
        (
            "default: off",
            "defualt: off",
            "unknown key 'defualt'; did you mean 'default'? allowed here: checks",
        ),
        ("features.zero_norm: off", "features.zero_norm: no thanks", "Input should be 'block', 'warn' or 'off'"),
        ("default: off", "default: on", "Input should be 'block', 'warn' or 'off', found True"),
        ("features.coverage: 0.9", "features.coverage: high", "Input should be a valid number"),
    ],
)
def test_checks_that_are_misspelt_are_named_with_the_nearest(refused, old: str, new: str, said: str) -> None:
    assert said in refused(GOOD + VALIDATION.replace(old, new))


@pytest.mark.parametrize(
    "options",
    [{"api_key": "k"}, {"client_secret": "k"}, {"access_token": "k"}, {"policy": {"proxy": "http://me:pw@host:1"}}],
)
def test_a_secret_in_a_catalogue_is_refused_and_not_repeated(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="holds a secret") as refused:
        SourceSettings(connector="spotify", options=options)
    assert "pw@" not in str(refused.value).split("[type=")[0]


def test_addresses_and_limits_are_no_secrets() -> None:
    SourceSettings(connector="spotify", options={"token_url": "http://127.0.0.1:1/token", "policy": {"retries": 2}})


def test_a_catalogue_as_a_release_keeps_it_can_be_read_again() -> None:
    said = {
        "catalogue": "c",
        "store": "s",
        "sources": {"movielens": {"connector": "movielens", "path": "."}},
        "featurizers": {"bert": {}, "dino": {}, "clap": {"piece_s": 5}, "mel": {}},
    }
    catalogue = Catalogue.model_validate(said)
    assert Catalogue.model_validate(catalogue.model_dump(mode="json")) == catalogue


def test_a_feature_is_called_by_its_key_and_by_no_other_name() -> None:
    with pytest.raises(ValueError, match="a feature is called by its key, 'bert': leave `name: sbert` out"):
        FeaturizerSettings.model_validate({"bert": {"name": "sbert"}})
    kept = FeaturizerSettings.model_validate({"bert": {"name": "bert"}})
    assert list(kept.encoders) == ["bert"]
