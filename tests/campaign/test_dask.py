"""Units on a Dask cluster of processes, which may die."""

import os
import signal
import threading
import time
import warnings

import pytest

from flow.campaign import run_campaign
from flow.errors import InputError
from tests.campaign.campaigns import four_bit_network, labelled, model_recipe, table_of

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as made:
            yield made


def run(folder, name, graph, data, **settings):
    recipe = model_recipe(graph, folder, **settings)
    return run_campaign(recipe, data, out=folder / name, cache=folder)


@pytest.mark.slow
def test_a_cluster_gives_the_rows_of_one_process_though_a_worker_is_killed(tmp_path, cluster):
    graph = four_bit_network((6, 5, 4), signs=True)
    data = labelled(graph, 12)
    settings = {"images": 12, "unit": 1}
    run(tmp_path, "alone", graph, data, **settings)
    done, killed = tmp_path / "cluster" / "shards", []

    def kill():
        while not done.exists() or len(list(done.iterdir())) < 3:
            time.sleep(0.005)
        process = next(iter(cluster.workers.values())).pid
        os.kill(process, signal.SIGKILL)
        killed.append(len(list(done.iterdir())))

    thread = threading.Thread(target=kill)
    thread.start()
    dask = {"executor": "dask", "scheduler": cluster.scheduler_address}
    record = run(tmp_path, "cluster", graph, data, **settings, **dask)
    thread.join()
    assert killed[0] < record.units  # mid-run
    assert table_of(tmp_path / "cluster") == table_of(tmp_path / "alone")


def test_the_workers_of_a_scheduler_give_the_rows_of_one_process(tmp_path):
    """Two threads of this process: what is sent and fetched, without the start of processes."""
    graph = four_bit_network((6, 5, 4), signs=True)
    data = labelled(graph, 12)
    run(tmp_path, "alone", graph, data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as made:
            dask = {"executor": "dask", "scheduler": made.scheduler_address}
            run(tmp_path, "cluster", graph, data, **dask)
            faults = {"margin": 0.12, "sequential": True, "per_stratum": 2}
            run(tmp_path, "watched", graph, data, faults=faults, unit=8, **dask)
    run(tmp_path, "watched-alone", graph, data, faults=faults, unit=8)
    assert table_of(tmp_path / "cluster") == table_of(tmp_path / "alone")
    assert table_of(tmp_path / "watched") == table_of(tmp_path / "watched-alone")


def test_nobody_at_the_schedulers_address_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr("flow.campaign.pool.CONNECT_SECONDS", 0.2)
    graph = four_bit_network((6, 5, 4), signs=True)
    dask = {"executor": "dask", "scheduler": "tcp://127.0.0.1:9"}
    with pytest.raises(
        InputError, match=r"scheduler: no Dask at 'tcp://127.0.0.1:9' \(.*\); start"
    ):
        run(tmp_path, "out", graph, labelled(graph, 12), **dask)
