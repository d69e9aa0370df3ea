"""The command line as a stranger uses it: what it prints, its exit codes, and what it says of awful input."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.kill import servers
from storage.lock import build_lock
from storage.store import Store
from tests.tasks.plant import spoil
from tests.tasks.shelf import Shelf

ROOT = Path(__file__).resolve().parents[2]
COMMAND = str(Path(sys.executable).with_name("mediateca"))
FILMS = "movieId,title,genres\n1,Toy Story (1995),Comedy\n2,Heat (1995),Crime\n3,Jaws (1975),Thriller\n"
RATINGS = "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,2,3.5,964982800\n2,1,5.0,964983000\n"


def cli(home: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """One run of the command in a process of its own."""
    environment = os.environ | {"MEDIATECA_HOME": str(home), "COLUMNS": "200"} | env
    return subprocess.run([COMMAND, *args], env=environment, capture_output=True, text=True, cwd=home)


def told(ran: "subprocess.CompletedProcess[str]") -> str:
    """Standard error without the lines that say how far something is: a slow machine has some."""
    lines = ran.stderr.splitlines(keepends=True)
    return "".join(line for line in lines if not re.fullmatch(r"\S+ +(\S+ of \S+, )?\d+ s \.\.\.\n", line))


def say(ran: subprocess.CompletedProcess[str]) -> str:
    return ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a small catalogue of three films, built by the command; `small.yaml` and `data` lie in it."""
    home = tmp_path_factory.mktemp("built")
    data = home / "data"
    data.mkdir()
    (data / "movies.csv").write_text(FILMS)
    (data / "ratings.csv").write_text(RATINGS + "9,1,9.9,964983000\n")
    (data / "links.csv").write_text("movieId,imdbId,tmdbId\n1,0114709,862\n")
    (home / "small.yaml").write_text(
        f"catalogue: small\nsources:\n  movielens: {{connector: movielens, path: {data}}}\n"
        "featurizers:\n  tabular: {numeric: [year]}\n"
    )
    ran = cli(home, "build", "small.yaml", "--json")
    assert ran.returncode == 0, say(ran)
    assert "leaked" not in ran.stderr  # what a library says at the end of what it finds alive
    built = json.loads(ran.stdout)
    assert built["release"] == "v1"
    assert built["partial"] is False
    assert {s["stage"]: s["done"] for s in built["stages"]} == {
        "ingest": 3, "entities": 3, "links": 3, "items": 3, "users": 2, "texts": 3, "tabular": 3, "index": 1,
        "validate": 39, "report": 1, "release": 1,
        "fingerprints.sound": 0, "fingerprints.pictures": 0, "fingerprints.words": 0, "fingerprints.titles": 3,
        "lookalikes": 0, "duplicates": 0,
    }  # fmt: skip
    assert all(s.keys() >= {"stage", "done", "skipped", "failed", "seconds"} for s in built["stages"])
    assert servers(home) == []
    return home


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    """A copy of the built home that a test may change."""
    home = tmp_path / "home"
    shutil.copytree(built, home)
    text = (home / "small.yaml").read_text().replace(str(built), str(home))
    (home / "small.yaml").write_text(text)
    return home


def test_build_with_nothing_to_do_says_so_and_starts_no_server(built: Path) -> None:
    ran = cli(built, "build", "small.yaml")
    assert (ran.returncode, ran.stdout) == (0, "nothing to do: release v1 is up to date\n")
    assert "server" not in ran.stderr
    answer = json.loads(cli(built, "build", "small.yaml", "--json").stdout)
    assert answer["release"] == "v1"
    assert {s["done"] for s in answer["stages"]} == {0}


def test_plan_json(built: Path) -> None:
    stages = json.loads(cli(built, "plan", "small.yaml", "--json").stdout)["stages"]
    names = ["ingest", "entities", "links", "items", "users", "texts", "tabular"]
    names += [f"fingerprints.{what}" for what in ("sound", "pictures", "words", "titles")]
    names += ["lookalikes", "duplicates", "index", "validate", "report"]
    names.append("release")
    assert [s["stage"] for s in stages] == names
    wanted = {"up_to_date", "new", "changed", "retry", "removed", "seconds_estimate", "requests_estimate"}
    assert all(s["up_to_date"] and s.keys() >= wanted for s in stages)


def test_plan_before_the_first_build_writes_nothing(built: Path, tmp_path: Path) -> None:
    ran = cli(tmp_path, "plan", str(built / "small.yaml"), "--json")
    stages = json.loads(ran.stdout)["stages"]
    assert stages[0]["new"] == 3
    assert not any(s["up_to_date"] for s in stages)
    assert not (tmp_path / "small").exists()


def test_status_json(built: Path) -> None:
    answer = json.loads(cli(built, "status", "small.yaml", "--json").stdout)
    assert answer["release"] == "v1"
    assert answer["tables"]["items"] == {"rows": 3, "ok": 3, "reasons": {}, "version": 1}
    texts = answer["tables"]["texts"]
    assert (texts["rows"], texts["ok"], texts["reasons"]) == (6, 3, {"not_found": 3})
    assert answer["tables"]["quarantine"]["reasons"] == {"bad_value": 1}


def test_what_stands_above_a_table_is_one_line_in_a_narrow_terminal(built: Path) -> None:
    ran = cli(built, "status", "small.yaml", COLUMNS="40")
    assert ran.stdout.splitlines()[0] == f"small: {built / 'small'}, release v1"


def test_report_names_the_page_and_copies_it(built: Path, tmp_path: Path) -> None:
    place = Path(cli(built, "report", "small.yaml").stdout.strip())
    content = place.read_bytes()
    assert content.startswith(b"<!doctype html>")
    copied = tmp_path / "page.html"
    ran = cli(built, "report", "small.yaml", "--release", "v1", "--to", str(copied), "--json")
    answer = json.loads(ran.stdout)
    assert copied.read_bytes() == content
    assert (answer["release_id"], answer["published"]) == ("v1", True)
    assert (answer["place"], answer["size_bytes"]) == (str(copied), len(content))
    ran = cli(built, "report", "small.yaml", "--release", "v9")
    assert (ran.returncode, "no release 'v9'" in ran.stderr) == (2, True)


def test_sql_json_is_a_list_of_rows(built: Path) -> None:
    ran = cli(built, "sql", "small.yaml", "select title, year from items order by title", "--json")
    assert json.loads(ran.stdout)[0] == {"title": "Heat", "year": 1995}
    joined = "select title, count(*) n from interactions join items using (item_id) group by 1 order by n desc limit 1"
    assert json.loads(cli(built, "sql", "small.yaml", joined, "--json").stdout) == [{"title": "Toy Story", "n": 2}]
    assert len(json.loads(cli(built, "sql", "small.yaml", "show tables", "--json").stdout)) > 10


def test_sql_errors_are_one_message(built: Path) -> None:
    ran = cli(built, "sql", "small.yaml", "select nothing from items")
    assert ran.returncode == 2
    assert "nothing" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_neighbors_json_is_a_list_of_rows(built: Path) -> None:
    answer = json.loads(cli(built, "neighbors", "small.yaml", "movielens:1", "-k", "1", "--json").stdout)
    assert [row.keys() for row in answer] == [{"item_id", "title", "score"}]
    assert answer == json.loads(cli(built, "neighbors", "small.yaml", "toy story", "-k", "1", "--json").stdout)
    by_feature = ("neighbors", "small.yaml", "Toy Story", "--feature", "tabular", "--release", "v1", "--json")
    both = json.loads(cli(built, *by_feature).stdout)
    assert {row["title"] for row in both} == {"Heat", "Jaws"}
    assert both[0] == answer[0]
    assert both[0]["score"] >= both[1]["score"]


def test_neighbors_prints_a_table_for_people(built: Path) -> None:
    ran = cli(built, "neighbors", "small.yaml", "Jaws")
    assert ran.returncode == 0, say(ran)
    title, header, *rows = ran.stdout.splitlines()
    assert title.startswith("nearest to Jaws (")
    assert title.rstrip().endswith("by tabular, release v1")
    assert header.split() == ["title", "year", "kind", "score"]
    assert sorted(row.split()[:2] for row in rows) == [["Heat", "1995"], ["Toy", "Story"]]


def test_neighbors_says_what_there_is_to_know_beside_its_rows(tmp_path: Path) -> None:
    """Three equal films: their one number has no deviation, and there are no genres."""
    shelf = Shelf(tmp_path, "movielens", featurizers={"tabular": {"numeric": ["year"]}})
    shelf.movielens([(n, f"{title} (1990)", "") for n, title in enumerate("ABC")])
    shelf.build()
    (tmp_path / "shelf.yaml").write_text(shelf.catalogue.model_dump_json(exclude_none=True))
    ran = cli(tmp_path, "neighbors", "shelf.yaml", "A", "--json")
    assert [row["score"] for row in json.loads(ran.stdout)] == [0.0, 0.0]
    assert "note: the vector of A is all zeros" in ran.stderr


def test_neighbors_help_has_an_example(tmp_path: Path) -> None:
    ran = cli(tmp_path, "neighbors", "--help")
    assert "Example: mediateca neighbors films movielens:1 --feature minilm -k 5" in ran.stdout


def test_rollback_diff_and_list(copy: Path) -> None:
    (copy / "data" / "movies.csv").write_text(FILMS + "4,Alien (1979),Horror\n")
    plan = json.loads(cli(copy, "plan", "small.yaml", "--json").stdout)["stages"]
    assert plan[0]["changed"] == 1
    assert json.loads(cli(copy, "build", "small.yaml", "--json").stdout)["release"] == "v2"
    rows = json.loads(cli(copy, "release", "diff", "small.yaml", "v1", "v2", "--json").stdout)
    assert next(r for r in rows if r["table"] == "items")["added"] == 1
    assert cli(copy, "release", "rollback", "small.yaml", "v1").returncode == 0
    listed = json.loads(cli(copy, "release", "list", "small.yaml", "--json").stdout)
    assert [(r["release_id"], r["current"]) for r in listed] == [("v1", True), ("v2", False)]
    assert cli(copy, "build", "small.yaml").stdout.startswith(
        "nothing to do: release v2 holds all there is; v1 is current since a rollback (`"
    )
    answer = json.loads(cli(copy, "build", "small.yaml", "--json").stdout)
    assert (answer["release"], {s["done"] for s in answer["stages"]}) == ("v1", {0})
    old = cli(copy, "sql", "small.yaml", "select count(*) n from items", "--release", "v1", "--json")
    assert json.loads(old.stdout) == [{"n": 3}]


def test_export_and_takedown(copy: Path) -> None:
    item = json.loads(cli(copy, "sql", "small.yaml", "select item_id from items where title = 'Jaws'", "--json").stdout)
    assert cli(copy, "export", "small.yaml", "--to", "out").returncode == 0
    sums = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=copy / "out", capture_output=True, text=True)
    assert sums.returncode == 0, sums.stdout
    assert cli(copy, "export", "small.yaml", "--to", "out").returncode == 2
    printed = cli(copy, "export", "small.yaml", "--to", "half", "--float16", "--no-media", "--json")
    assert json.loads(printed.stdout) == json.loads((copy / "half" / "manifest.json").read_bytes())
    assert (json.loads(printed.stdout)["vectors"], printed.stderr) == ("float16", "")
    ran = cli(copy, "takedown", "small.yaml", item[0]["item_id"], "--yes", "--json")
    assert json.loads(ran.stdout)["retired"] == ["v1"]
    assert json.loads(cli(copy, "build", "small.yaml", "--json").stdout)["release"] == "v2"
    left = cli(copy, "sql", "small.yaml", "select title from items order by title", "--json")
    assert [r["title"] for r in json.loads(left.stdout)] == ["Heat", "Toy Story"]


def test_init_writes_a_catalogue_that_builds(built: Path, tmp_path: Path) -> None:
    ran = cli(tmp_path, "init", "mine.yaml", "--movielens", str(built / "data"))
    assert ran.returncode == 0, say(ran)
    plan = cli(tmp_path, "plan", "mine.yaml", "--json")
    assert json.loads(plan.stdout)["stages"][0]["new"] == 3
    assert cli(tmp_path, "init", "mine.yaml", "--movielens", str(built / "data")).returncode == 2
    assert "name at least one source" in cli(tmp_path, "init", "other.yaml").stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("build", "flims"), ["no catalogue 'flims'", "did you mean 'films'"]),
        (("status", "demo"), ["nothing has been built", "mediateca build demo"]),
        (("release", "rollback", "small.yaml", "v9"), ["no release 'v9'", "published: v1"]),
        (("export", "small.yaml", "--to", "/proc/x"), ["export to /proc/x: no folder can be made there"]),
        (("export", "small.yaml", "--to", "small.yaml/x"), ["no folder can be made there (Not a directory)"]),
        (("report", "small.yaml", "--to", "data"), ["report --to data: cannot be written (Is a directory)"]),
        (("init", "none/x.yaml", "--movielens", "data"), ["init none/x.yaml: cannot be written (No such file"]),
        (("takedown", "small.yaml", "nobody", "--yes"), ["no item 'nobody'"]),
        (("build", "small.yaml", "--refit", "minilm"), ["--refit minilm", "known: tabular"]),
        (("neighbors", "demo", "1"), ["nothing has been built", "mediateca build demo"]),
        (("neighbors", "small.yaml", "Jows"), ["no item 'Jows'", "did you mean 'Jaws'", "movielens:1"]),
        (("neighbors", "small.yaml", "Jaws", "--feature", "minilm"), ["'minilm' has no index", "indexed: tabular"]),
        (("neighbors", "small.yaml", "Jaws", "-k", "0"), ["-k 0: expected 1 to 1,000"]),
        (("neighbors", "small.yaml", "Jaws", "--release", "v9"), ["no release 'v9'", "published: v1"]),
    ],
)
def test_mistakes_are_named(copy: Path, args: tuple[str, ...], words: list[str]) -> None:
    ran = cli(copy, *args)
    assert ran.returncode in (1, 2)
    assert all(word in ran.stderr for word in words), ran.stderr
    assert "Traceback" not in ran.stderr


def test_misspelt_key_is_named_with_the_nearest_and_the_line(copy: Path) -> None:
    (copy / "small.yaml").write_text("catalogue: small\nsources:\n  movielens:\n    conector: movielens\n    path: x\n")
    ran = cli(copy, "plan", "small.yaml")
    assert ran.returncode == 2
    assert "small.yaml, line 4: unknown key 'conector'; did you mean 'connector'?" in ran.stderr


def test_unset_variable_and_missing_folder_are_named(tmp_path: Path) -> None:
    environment = {"MEDIATECA_REAL_DATA": ""}
    ran = cli(tmp_path, "plan", "films", **environment)
    assert (ran.returncode, "export MEDIATECA_REAL_DATA=" in ran.stderr) == (2, True)
    ran = cli(tmp_path, "build", "films", MEDIATECA_REAL_DATA="/nowhere")
    assert (ran.returncode, "/nowhere/movielens-small" in ran.stderr) == (2, True)


def test_missing_column_stops_the_build_and_the_release_stays(copy: Path) -> None:
    (copy / "data" / "movies.csv").write_text("movieId,titel,genres\n1,Toy Story (1995),Comedy\n")
    ran = cli(copy, "build", "small.yaml")
    assert ran.returncode == 1
    assert "title" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert json.loads(cli(copy, "status", "small.yaml", "--json").stdout)["tables"]["items"]["rows"] == 3


def test_file_cut_inside_a_line_loses_that_line_only(copy: Path) -> None:
    (copy / "data" / "ratings.csv").write_text(RATINGS + "2,2,4.")
    assert cli(copy, "build", "small.yaml").returncode == 0
    answer = json.loads(cli(copy, "status", "small.yaml", "--json").stdout)["tables"]
    assert (answer["interactions"]["rows"], answer["quarantine"]["reasons"]) == (3, {"bad_row": 1})


def test_emptied_source_is_not_released(copy: Path) -> None:
    (copy / "data" / "movies.csv").write_text("movieId,title,genres\n")
    ran = cli(copy, "build", "small.yaml")
    assert (ran.returncode, "the table 'items' is empty" in ran.stderr) == (4, True)
    assert "Traceback" not in ran.stderr
    assert json.loads(cli(copy, "release", "list", "small.yaml", "--json").stdout)[0]["current"]


def test_blocked_release_exits_with_4_and_says_why_every_time(copy: Path) -> None:
    store = Store(str(copy / "small"))
    (item,) = spoil(store, "items", lambda row: {"title": None}, where="title = 'Jaws'")
    ran = cli(copy, "build", "small.yaml")
    assert (ran.returncode, "Traceback" in ran.stderr) == (4, False)
    for words in ("v1 stays current", "items.title_not_null", "1 of 3 rows", item["item_id"], "blocked/index.html"):
        assert words in ran.stderr, ran.stderr
    again = cli(copy, "build", "small.yaml", "--json")
    answer = json.loads(again.stdout)
    assert (again.returncode, answer["release"], answer["validation"]["blocked"]) == (4, "v1", True)
    assert {s["done"] for s in answer["stages"]} == {0}
    assert [f["check"] for f in answer["validation"]["failed"]] == ["title_not_null"]
    status = json.loads(cli(copy, "status", "small.yaml", "--json").stdout)
    assert (status["release"], status["validation"]["failed"]) == ("v1", answer["validation"]["failed"])
    assert "items.title_not_null" in cli(copy, "status", "small.yaml").stdout

    accepted = (copy / "small.yaml").read_text() + "validation: {checks: {items.title_not_null: warn}}\n"
    (copy / "small.yaml").write_text(accepted)
    ran = cli(copy, "build", "small.yaml", "--json")
    answer = json.loads(ran.stdout)
    assert (ran.returncode, answer["release"], answer["validation"]["blocked"]) == (0, "v2", False)
    assert [f["severity"] for f in answer["validation"]["failed"]] == ["warn"]


def test_second_build_is_refused_before_anything_starts(copy: Path) -> None:
    (copy / "data" / "movies.csv").write_text(FILMS + "4,Alien (1979),Horror\n")
    with build_lock(str(copy / "small")):
        began = time.monotonic()
        ran = cli(copy, "build", "small.yaml")
    assert (ran.returncode, "is building it" in ran.stderr) == (1, True)
    assert "server" not in ran.stderr
    assert time.monotonic() - began < 10


def test_store_of_a_newer_schema_is_refused(copy: Path) -> None:
    described = copy / "small" / "store.json"
    described.write_text(described.read_text().replace('"schema_version": 1', '"schema_version": 7'))
    for command in ("build", "plan", "status"):
        ran = cli(copy, command, "small.yaml")
        assert (ran.returncode, "written with schema 7, this mediateca knows 1" in ran.stderr) == (1, True)


def in_tmpfs(folder: Path, size: str, script: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell script with a small file system of its own mounted at `folder`."""
    folder.mkdir()
    mount = f"mount -t tmpfs -o size={size} tmpfs {folder}"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system of its own")
    environment = os.environ | {"MEDIATECA_HOME": str(home), "COLUMNS": "200"}
    whole = f"{mount} && {script}"
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", whole], env=environment, cwd=home, capture_output=True, text=True
    )


def test_full_disk_is_told_and_the_build_goes_on_when_there_is_room(copy: Path, tmp_path: Path) -> None:
    small = tmp_path / "small-disk"
    text = (copy / "small.yaml").read_text().replace("catalogue: small\n", f"catalogue: full\nstore: {small}/store\n")
    (copy / "full.yaml").write_text(text)
    build = f"{COMMAND} build full.yaml"
    # Filled to the last 100 kB, then given room: the same command finishes.
    fill = f"head -c 1900000 /dev/zero > {small}/ballast"
    ran = in_tmpfs(small, "2m", f"{fill}; {build}; echo first=$?; rm {small}/ballast; {build}; echo second=$?", copy)
    assert "first=1" in ran.stdout, say(ran)
    assert "no space left" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "second=0" in ran.stdout, say(ran)


def test_read_only_store_is_told_before_anything_runs_and_can_still_be_read(copy: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    (copy / "data" / "movies.csv").write_text(FILMS + "4,Alien (1979),Horror\n")
    text = (copy / "small.yaml").read_text().replace("catalogue: small\n", f"catalogue: ro\nstore: {place}/store\n")
    (copy / "ro.yaml").write_text(text)
    freeze = f"cp -r {copy}/small {place}/store && mount -o remount,ro {place}"
    query = f"{COMMAND} sql ro.yaml 'select count(*) n from items'"
    ran = in_tmpfs(place, "20m", f"{freeze}; {COMMAND} build ro.yaml; echo rc=$?; {query}; echo read=$?", copy)
    assert "rc=1" in ran.stdout, say(ran)
    assert "cannot be written" in ran.stderr
    assert "server" not in ran.stderr
    assert "read=0" in ran.stdout


@pytest.mark.parametrize("args", [("build", "demo"), ("plan", "demo"), ("build", "small.yaml")])
def test_home_that_cannot_be_written_is_told_before_anything_runs(
    copy: Path, tmp_path: Path, args: tuple[str, ...]
) -> None:
    place = tmp_path / "place"
    command = f"MEDIATECA_HOME={place}/home {COMMAND} {' '.join(args)}"
    ran = in_tmpfs(place, "2m", f"mount -o remount,ro {place}; {command}; echo rc=$?", copy)
    assert ran.stdout == "rc=1\n"
    assert re.fullmatch(f"(store|generated world) {place}/home/[a-z]+: cannot be written .*\n", told(ran))


@pytest.mark.parametrize("home", ["data/movies.csv", "data/movies.csv/home", "/proc/home"])
def test_home_that_is_no_folder_is_told_in_one_message(copy: Path, home: str) -> None:
    for args in (("build", "demo"), ("build", "small.yaml")):
        ran = cli(copy, *args, MEDIATECA_HOME=str(copy / home))
        assert ran.returncode == 2
        assert "set MEDIATECA_HOME" in ran.stderr
        assert ("is a file, not a folder" in ran.stderr) == ("proc" not in home)
        assert told(ran).count("\n") == 1


def test_home_without_room_for_a_server_is_told_at_once(copy: Path, tmp_path: Path) -> None:
    (copy / "data" / "movies.csv").write_text(FILMS + "4,Alien (1979),Horror\n")
    small = tmp_path / "small-disk"
    ran = in_tmpfs(small, "4m", f"MEDIATECA_HOME={small}/home {COMMAND} build small.yaml; echo rc=$?", copy)
    assert ran.stdout == "rc=1\n"
    said = f"MEDIATECA_HOME \\({small}/home\\): too little space on its disk \\(4.[0-9] MB free\\); .* needs 8 MB.*\n"
    assert re.fullmatch(said, told(ran))


@pytest.mark.parametrize("url", ["http://someone:secret@127.0.0.1:9/api", "127.0.0.1"])
def test_prefect_api_out_of_reach_is_told_by_the_variable(copy: Path, url: str) -> None:
    (copy / "data" / "movies.csv").write_text(FILMS + "4,Alien (1979),Horror\n")
    ran = cli(copy, "build", "small.yaml", PREFECT_API_URL=url)
    assert ran.returncode == 1
    assert re.fullmatch("PREFECT_API_URL is .*127.0.0.1.*, and no Prefect API answers there; .*\n", told(ran))
    assert "secret" not in ran.stderr


def test_interrupted_build_says_one_line_and_leaves_no_server(copy: Path) -> None:
    (copy / "data" / "movies.csv").write_text(FILMS + "4,Alien (1979),Horror\n")
    process = subprocess.Popen(
        [COMMAND, "build", "small.yaml"],
        env=os.environ | {"MEDIATECA_HOME": str(copy)},
        cwd=copy,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    before = next(line for line in process.stdout if line.startswith(("ingest", "Traceback")))
    os.killpg(process.pid, signal.SIGINT)
    after = process.communicate()[0].splitlines()
    assert before.startswith("ingest")
    assert process.returncode == 130
    assert [line for line in after if " done in " not in line and not line.endswith(" s ...")] == [
        "stopped; run the same command again: it goes on where it stopped"
    ]
    assert servers(copy) == []


LIGHT = (
    ("plan", "small.yaml"),
    ("status", "small.yaml"),
    ("sql", "small.yaml", "select 1"),
    ("release", "list", "small.yaml"),
)
NEIGHBORS = ("neighbors", "small.yaml", "Jaws")  # may load numpy and faiss, too


@pytest.mark.parametrize(
    "args",
    [
        *LIGHT,
        NEIGHBORS,
        ("build", "small.yaml"),
        ("doctor",),
        ("release", "diff", "small.yaml", "v1", "v1"),
    ],
)
def test_commands_exit_with_their_code_every_time(built: Path, args: tuple[str, ...]) -> None:
    codes = [cli(built, *args).returncode for _ in range(int(os.environ.get("MEDIATECA_EXIT_RUNS", "2")))]
    assert set(codes) == {0}


@pytest.mark.parametrize("args", [*LIGHT, NEIGHBORS])
def test_light_commands_load_nothing_heavy(built: Path, args: tuple[str, ...]) -> None:
    heavy = ("prefect", "torch", "pyarrow", "pyarrow.dataset", "great_expectations", "polars", "pandas")
    heavy += () if args == NEIGHBORS else ("numpy", "faiss")
    code = (
        f"import sys; sys.argv = {['mediateca', *args]!r}\n"
        "from deployments.cli import app\n"
        "try: app()\nexcept SystemExit: pass\n"
        f"print('loaded:', [name for name in {heavy!r} if name in sys.modules])"
    )
    environment = os.environ | {"MEDIATECA_HOME": str(built)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, cwd=built, capture_output=True, text=True)
    assert "loaded: []" in ran.stdout, say(ran)


def test_killed_build_leaves_no_server(copy: Path) -> None:
    (copy / "data" / "movies.csv").write_text(FILMS + "4,Alien (1979),Horror\n")
    process = subprocess.Popen(
        [COMMAND, "build", "small.yaml"],
        env=os.environ | {"MEDIATECA_HOME": str(copy), "MEDIATECA_SERVER_GRACE_S": "2"},
        cwd=copy,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not servers(copy) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 60
    while servers(copy):
        assert time.monotonic() < deadline, "the server is still there"
        time.sleep(0.5)
    assert Store(str(copy / "small")).count_live("items") == 3
