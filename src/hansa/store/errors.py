"""What can be wrong with the folder a database lives in, or with the server on it."""

from typing import ClassVar

from hansa.kernel import HansaError


class DataFolderTaken(HansaError):
    """Another running Hansa uses this data folder."""

    code: ClassVar[str] = "store.data_folder_taken"
    status: ClassVar[int] = 409


class DataFolderUnfit(HansaError):
    """A database cannot live in this folder."""

    code: ClassVar[str] = "store.data_folder_unfit"
    status: ClassVar[int] = 500


class ServerFailed(HansaError):
    """The embedded PostgreSQL did not do what it was told; its log says why."""

    code: ClassVar[str] = "store.server_failed"
    status: ClassVar[int] = 503
