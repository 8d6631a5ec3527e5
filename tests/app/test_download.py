import threading
import time

from pages.components import download
from pages.components.download import Makers


def test_a_file_is_made_as_the_last_run_says():
    makers = Makers(runs=1, latest={"plan": (1, lambda: "old")})
    assert makers.now("plan") == "old"
    makers.latest["plan"] = (1, lambda: "new")
    assert makers.now("plan") == "new"


def test_a_file_waits_for_the_run_that_the_same_click_set_off():
    makers = Makers(runs=1, latest={"plan": (1, lambda: "of before")})

    def rerun():
        time.sleep(download.GRACE / 4)
        makers.runs += 1
        time.sleep(2 * download.GRACE)
        makers.latest["plan"] = (makers.runs, lambda: "of what was typed")

    thread = threading.Thread(target=rerun)
    thread.start()
    assert makers.now("plan") == "of what was typed"
    thread.join()


def test_a_run_that_never_comes_to_the_button_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(download, "PATIENCE", 0.1)
    makers = Makers(runs=2, latest={"plan": (1, lambda: "of before")})
    assert makers.now("plan") == "of before"
