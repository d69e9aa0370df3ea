"""Errors of connectors keep what they know on their way between processes."""

import pickle

from connectors.errors import ConnectorError, SchemaDrift


def test_an_error_survives_the_way_out_of_a_worker() -> None:
    error = pickle.loads(pickle.dumps(SchemaDrift("tmdb: no title", source="tmdb", url="films.jsonl", status=200)))
    assert isinstance(error, ConnectorError)
    assert (type(error), str(error)) == (SchemaDrift, "tmdb: no title")
    assert (error.source, error.url, error.status) == ("tmdb", "films.jsonl", 200)
