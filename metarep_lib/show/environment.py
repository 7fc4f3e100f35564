"""Where a chapter runs: the device, the dtype and the versions, printed at its top."""

import platform
from importlib.metadata import version


def environment(device: object, dtype: object) -> str:
    """Two lines for the first cell of a chapter; nbval does not compare them.

    >>> environment("cpu", "torch.float64").endswith("# environment")
    True
    """
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("torch", "numpy", "scipy", "scikit-learn")
    )
    return f"device {device}, {dtype}, Python {platform.python_version()}  # environment\n{packages}  # environment"
