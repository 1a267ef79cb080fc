"""Set-up of the tests: annotations checked, one thread, the CPU, the same random examples every time."""

import inspect
import os
import signal
from pathlib import Path

os.environ["RLCOURSE_DEVICE"] = "cpu"  # inherited by the kernels and processes that tests start

import hypothesis
import jaxtyping
import pytest
import torch

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell's background job ignores interrupts, and so would every process that a test starts and interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

torch.set_num_threads(1)  # two threads are slower for networks of this size, and round differently
torch.set_printoptions(precision=8, sci_mode=False, linewidth=110)  # failures show what differs

# The same examples on every run and every machine; a slow machine is no failure.
hypothesis.settings.register_profile("course", derandomize=True, deadline=None)
hypothesis.settings.load_profile("course")

# Every annotation of the rooms that compute is checked at each call, shapes included (free for users,
# who do not install this). It has to stand before the first import of rlcourse.
ROOMS = ("core", "envs", "exact", "equations", "nets", "data", "planning", "algorithms", "results")
jaxtyping.install_import_hook([f"rlcourse.{room}" for room in ROOMS], "typechecker.check")


# Files whose tests start boxed students, look through all processes of the machine or interrupt groups of them:
# side by side they could find, or slow down, one another's.
ON_THE_MACHINE = {"test_async_actor_critic", "test_attacks", "test_class", "test_grade", "test_remote", "test_sandbox"}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Where two processes share the tests (-n 2 --dist loadfile), the files above all go to the same.

    The mark xdist_group, made for this, has no effect in pytest 9.2 with pytest-xdist 3.8, and says nothing.
    """
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        """Whole files, so that what a module sets up once is set up once."""

        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return "on the machine" if Path(file).stem in ON_THE_MACHINE else file

    return ByFile(config, log)


@pytest.fixture(autouse=True)
def refusals_are_the_librarys_own(request):
    """Switch the annotations off in tests that expect an error (pytest.raises).

    There the annotation would refuse the wrong argument first, and the test could not see whether
    the library itself says in one clear line what is wrong.
    """
    source = inspect.getsource(request.function) if request.function else ""
    expects_an_error = "pytest.raises" in source and "TypeCheckError" not in source
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", expects_an_error)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)
