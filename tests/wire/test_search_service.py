"""longbow.v1.SearchService: what Flight answers, with less around it; many searches at a time on one stream."""

from __future__ import annotations

import json
import queue
import threading

import flight_calls as fc
import grpc
import numpy as np
import pyarrow as pa
import pytest
from search_client import SearchClient

ROWS, DIM = 300, 16


@pytest.fixture(params=["data", "meta"])
def service(server, request):
    with SearchClient(f"127.0.0.1:{server.data_port if request.param == 'data' else server.meta_port}") as client:
        yield client


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return np.random.default_rng(11).standard_normal((ROWS, DIM)).astype(np.float32)


@pytest.fixture
def notes(client, dataset, points) -> str:
    text = [f"note {'apple' if i % 3 == 0 else 'pear'} {i}" for i in range(ROWS)]
    fc.put(client, dataset, fc.vector_table(points, text=text, year=pa.array(range(ROWS), pa.int32())))
    return dataset


def expect_error(call, code: grpc.StatusCode, *words: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        call()
    assert error.value.code() == code, error.value.details()
    for word in words:
        assert word in error.value.details()


def pairs(hits) -> list[tuple[int, float]]:
    return list(zip(hits.ids, hits.scores, strict=True))


def test_the_same_answer_as_flight(client, service, notes, points):
    for k in (1, 10, ROWS + 5):
        answer = service.search(notes, points[5] + 0.01, k=k, request_id=2**63)
        assert answer.request_id == 2**63 and answer.code == 0
        assert pairs(answer.results[0]) == fc.search(client, notes, points[5] + 0.01, k)
    assert len(service.search(notes, points[5]).results[0].ids) == 10


def test_batches_answer_in_order(client, service, notes, points):
    answer = service.search(notes, points[:40], k=3)
    assert [hits.ids[0] for hits in answer.results] == list(range(40))
    for i in (0, 17, 39):
        assert pairs(answer.results[i]) == fc.search(client, notes, points[i], 3)


@pytest.mark.parametrize(
    "options",
    [
        {"filters": [{"field": "year", "op": "<", "value": 50}]},
        {"filters": {"logic": "OR", "filters": [{"field": "year", "op": "=", "value": v} for v in (7, 9)]}},
        {"radius": 3.5},
        {"score_min": 0.2},
        {"ef": 200},
        {"recall_target": 0.99},
        {"text_query": "apple"},
        {"text_query": "pear", "alpha": 0.3, "fusion": "weighted"},
    ],
    ids=lambda options: "-".join(options),
)
def test_options_mean_what_they_mean_on_flight(client, service, notes, points, options):
    native = dict(options)
    if "filters" in native:
        native["filter"] = json.dumps(native.pop("filters"))
    if "fusion" in native:
        native["fusion"] = 1
    assert pairs(service.search(notes, points[9], k=12, **native).results[0]) == fc.search(
        client, notes, points[9], 12, **options
    )


def test_words_alone(client, service, notes):
    answer = service.search(notes, text_query="apple", alpha=0.0, k=5)
    assert len(answer.results) == 1 and all(i % 3 == 0 for i in answer.results[0].ids)


def test_vectors_columns_and_explanations(service, notes, points):
    answer = service.search(notes, points[:2], k=2, include_vectors=True, columns=["year", "text"], explain=True)
    for i, hits in enumerate(answer.results):
        assert np.frombuffer(hits.vectors[0], np.float32).tolist() == points[i].tolist()
        table = fc.read_ipc(hits.columns)
        assert table.schema.names == ["year", "text"] and table["year"].to_pylist() == list(hits.ids)
    assert len(json.loads(answer.explanations)) == 2
    plain = service.search(notes, points[0], k=1)
    assert not plain.explanations and not plain.results[0].columns and not plain.results[0].vectors


def test_formats_of_vectors(client, service, notes, points):
    half = service.search(notes, points[4], k=1, include_vectors=True, vector_format=2).results[0]
    assert np.frombuffer(half.vectors[0], np.float16).tolist() == points[4].astype(np.float16).tolist()
    for number, name in ((0, None), (1, "f32"), (2, "f16"), (3, "sq8")):
        native = service.search(notes, points[4], k=3, include_vectors=True, vector_format=number).results[0]
        more = {"vector_format": name} if name else {}
        table = fc.search_table(client, notes, points[4], 3, include_vectors=True, **more)
        assert list(native.vectors) == table["vector"].to_pylist(), name


def test_by_id_truncated_and_page_by_page(service, notes, points):
    assert service.search(notes, id="17", k=3).results[0].ids[0] in (
        17,
        *service.search(notes, points[17]).results[0].ids,
    )
    assert service.search(notes, points[0], k=5, radius=100).results[0].truncated
    assert not service.search(notes, points[0], k=ROWS, radius=100).results[0].truncated
    seen, cursor = [], ""
    while True:
        page = service.search(notes, points[8], k=70, cursor=cursor).results[0]
        seen += page.ids
        cursor = page.cursor
        if not cursor:
            break
    assert sorted(seen) == list(range(ROWS))
    expect_error(
        lambda: service.search(notes, points[8], k=70, cursor="nonsense"), grpc.StatusCode.INVALID_ARGUMENT, "cursor"
    )


@pytest.mark.parametrize("element", [np.float32, np.float64, np.int64])
def test_elements_of_other_types(client, service, dataset, element):
    vectors = np.arange(40).reshape(10, 4).astype(np.int64) * 2**40 + 2**53 + 1
    if element != np.int64:
        vectors = vectors.astype(element) / 2**53
    fc.put(client, dataset, fc.vector_table(vectors))
    answer = service.search(dataset, vectors[3], k=1)
    assert pairs(answer.results[0]) == [(3, 1.0)]


def test_bad_requests_say_what_is_wrong(service, notes, points):
    bad = grpc.StatusCode.INVALID_ARGUMENT
    expect_error(lambda: service.search(notes, points[0][:5]), bad, "dimension")
    expect_error(lambda: service.search(notes, points[0], k=0), bad, "k")
    expect_error(lambda: service.search(notes, points[0], k=-3), bad, "k")
    expect_error(lambda: service.search(notes, points[0], ef=2**31), bad, "ef")
    expect_error(lambda: service.search(notes, points[0], filter="{"), bad, "invalid search request")
    expect_error(lambda: service.search(notes, points[0], filter='[],"k":[1]'), bad, "one JSON value")
    expect_error(lambda: service.search(notes, points[0], filter='[{"field":"year"}]'), bad, "operator")
    expect_error(lambda: service.search(notes, points[0], fusion=7), bad, "fusion")
    expect_error(lambda: service.search(notes, points[0], vector_format=9), bad, "vector_format")
    expect_error(lambda: service.search(notes, points[0], columns=["tilte"]), bad, 'no column "tilte"')
    expect_error(lambda: service.search(notes, np.full(DIM, np.nan, np.float32)), bad)
    expect_error(lambda: service.search(notes, np.full(DIM, 1e300)), bad, "float32")
    expect_error(lambda: service.search(notes), bad)
    expect_error(lambda: service.search("no-such", points[0]), grpc.StatusCode.NOT_FOUND, "no-such")
    expect_error(lambda: service.search("x" * 5000, points[0]), bad, "too long")
    request = service.request(notes, points[:3])
    request.vectors = request.vectors[:-3]
    expect_error(lambda: service._search(request, timeout=5), bad, "bytes are not 3 vectors")
    request.vectors, request.queries = b"", 2
    expect_error(lambda: service._search(request, timeout=5), bad, "no vectors")
    request.vectors, request.queries = points[0].tobytes(), 4_000_000_000
    expect_error(lambda: service._search(request, timeout=5), bad, "at most")


def test_malformed_messages_and_unknown_methods(server, service):
    raw = service.channel.unary_unary("/longbow.v1.SearchService/Search", None, None)
    for malformed in (b"\xff\xff\xff", b"\x12\x02\xc3\x28"):  # no message; a name that is not UTF-8
        expect_error(lambda: raw(malformed, timeout=5), grpc.StatusCode.INVALID_ARGUMENT, "malformed")  # noqa: B023
    assert "protobuf" not in server.log()
    unknown = service.channel.unary_unary("/longbow.v1.SearchService/Find", None, None)
    expect_error(lambda: unknown(b"", timeout=5), grpc.StatusCode.UNIMPLEMENTED)


def test_a_stream_answers_each_request_once(client, service, notes, points):
    requests = [service.request(notes, points[i % ROWS], k=2, request_id=i) for i in range(1000)]
    answers = {answer.request_id: answer for answer in service.stream(requests)}
    assert sorted(answers) == list(range(1000))
    assert all(answers[i].code == 0 and answers[i].results[0].ids[0] == i % ROWS for i in answers)


def test_a_stream_that_stays_open(service, notes, points):
    """Answers come while the stream is open: nothing waits for its end."""
    waiting: queue.Queue = queue.Queue()
    answers = service.stream(iter(waiting.get, None))
    for i in range(50):
        waiting.put(service.request(notes, points[i], k=1, request_id=i))
        answer = next(answers)
        assert answer.request_id == i and list(answer.results[0].ids) == [i]
    waiting.put(None)
    assert list(answers) == []


def test_an_error_ends_its_request_only(service, notes, points):
    requests = [
        service.request(notes, points[1], k=1, request_id=1),
        service.request(notes, points[1][:3], k=1, request_id=2),
        service.request("no-such", points[1], request_id=3),
        service.request(notes, points[2], k=1, request_id=4),
    ]
    answers = {answer.request_id: answer for answer in service.stream(requests)}
    assert {i: answer.code for i, answer in answers.items()} == {
        1: 0,
        2: grpc.StatusCode.INVALID_ARGUMENT.value[0],
        3: grpc.StatusCode.NOT_FOUND.value[0],
        4: 0,
    }
    assert "dimension" in answers[2].message and not answers[2].results and "no-such" in answers[3].message


def test_an_empty_stream_ends_well(service):
    assert list(service.stream([])) == []


def test_a_client_that_does_not_read_holds_up_only_itself(service, notes, points):
    """Large answers nobody takes: the server stops reading requests instead of holding answers without end."""
    sent = 0
    stop = threading.Event()

    def requests():
        nonlocal sent
        while not stop.is_set() and sent < 100_000:
            sent += 1
            yield service.request(notes, points[:200], k=ROWS, include_vectors=True, request_id=sent)

    with SearchClient(service.channel._channel.target().decode()) as greedy:
        answers = greedy.stream(requests())
        threading.Event().wait(1.5)
        first = sent
        assert service.search(notes, points[3], k=1, timeout=10).results[0].ids[0] == 3
        threading.Event().wait(0.5)
        assert sent - first <= first + 200 and sent < 5_000, "requests were taken without end"
        stop.set()
        answers.cancel()
