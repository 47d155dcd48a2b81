from preprocessing.scan import Scan
from preprocessing.volume import Volume


def read_volume(scan: Scan) -> Volume:
    raise NotImplementedError
