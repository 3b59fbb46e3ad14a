"""Metrics of several workers as one text."""

from app.metrics import Metrics, merge_reports


def test_merged_reports_have_each_family_once_and_each_sample_by_worker() -> None:
    reports = {}
    for worker, answer in (("0", "created"), ("1", 'kn"own{')):
        metrics = Metrics()
        metrics.captures.labels(answer).inc(3)
        metrics.streams.set(2)
        reports[worker] = metrics.render().decode()
    merged = merge_reports(reports).splitlines()
    heads = [line for line in merged if line.startswith("#")]
    assert len(set(heads)) == len(heads)
    assert 'cin_captures_total{worker="0",answer="created"} 3.0' in merged
    assert 'cin_captures_total{worker="1",answer="kn\\"own{"} 3.0' in merged
    at = merged.index("# TYPE cin_streams gauge")
    assert merged[at + 1 : at + 3] == ['cin_streams{worker="0"} 2.0', 'cin_streams{worker="1"} 2.0']


def test_family_that_only_one_worker_has_is_kept() -> None:
    assert merge_reports({"0": "", "1": "# HELP a b\n# TYPE a gauge\na 1.0\n"}).splitlines()[2] == 'a{worker="1"} 1.0'
