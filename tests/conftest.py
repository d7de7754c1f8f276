"""Options of the tests."""


def pytest_addoption(parser):
    """Let who runs them take other walks than those that are always taken."""
    parser.addoption(
        "--laws-seed",
        type=int,
        default=0,
        help="the seed of the walks of tests/kernel/test_laws.py",
    )
