"""What of Python, torch and prepare.py leads where: the tables that `policy` reads an edit by. Pure."""

from agent.core.frozen import frozen


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


OFF_LIMITS = _words("seed budget environment files network evaluator data")
HIDDEN = "hidden"  # nobody can see from the text what it reaches: processes, other languages, names made at run time


@frozen
class Use:
    """One thing that an edit reaches: its name in the text, what it leads to (of OFF_LIMITS, or HIDDEN), its line."""

    mark: str
    leads_to: str
    line: int

    @property
    def off_limits(self) -> bool:
        """Whether no experiment may reach it; else its author may say the same so that it can be checked."""
        return self.leads_to in OFF_LIMITS

    def __str__(self) -> str:
        return f"{self.mark} (line {self.line})"


def _table(**words: str) -> dict[str, str]:
    return {word: leads_to for leads_to, text in words.items() for word in text.split()}


# By their first name. A module that is not here is let be: it computes, or it is not installed and the draft's first
# run says so.
MODULES = _table(
    network="""
        socket socketserver ssl urllib urllib3 http ftplib smtplib imaplib poplib xmlrpc asyncio selectors requests
        httpx aiohttp websockets webbrowser grpc huggingface_hub datasets
    """,
    files="""
        pathlib shutil tempfile glob fileinput mmap zipfile tarfile sqlite3 shelve dbm pickle marshal gzip bz2 lzma
        linecache pandas h5py safetensors
    """,
    evaluator="agent unittest",
    seed="secrets uuid",
    hidden="""
        subprocess multiprocessing pty signal atexit pkgutil runpy builtins ctypes cffi code codeop
        zipimport site resource psutil cython
    """,
)
# What a script may use of modules that lead further. Whatever else it takes from them leads where the second says.
DOORS: dict[str, tuple[frozenset[str], str]] = {
    "prepare": (
        _words("""PROFILES BudgetClock Run RunFailure bad_setting batches_per_step begin check_width compile evaluate
            logits_by_graph run"""),
        "evaluator",
    ),
    "fixed": (frozenset({"attention"}), "evaluator"),
    "os": (_words("cpu_count process_cpu_count sched_getaffinity getpid name sep linesep"), "files"),
    "sys": (
        _words("""argv byteorder exc_info exit flags float_info getrefcount getsizeof maxsize platform stderr stdout
            version version_info"""),
        HIDDEN,
    ),
    "importlib": (frozenset({"util"}), HIDDEN),
    "inspect": (frozenset({"Parameter", "signature"}), HIDDEN),
    "io": (frozenset({"BytesIO", "StringIO"}), "files"),
    "gc": (
        _words("""callbacks collect disable enable freeze get_count get_stats get_threshold isenabled set_threshold
            unfreeze"""),
        "evaluator",
    ),
}
SETTINGS = {"profile", "facts", "compile"}  # of run.settings; the rest is the seed, the budget and where things lie
# Attributes, whoever has them; but what an object of the script's own calls so (`self.evaluation`) is its own affair.
ATTRIBUTES = _table(
    seed="""
        manual_seed manual_seed_all seed seed_all default_rng RandomState Generator SystemRandom set_rng_state fork_rng
    """,
    environment="environ environb getenv getenvb putenv unsetenv",
    files="""
        read_text write_text read_bytes write_bytes glob rglob iterdir tofile fromfile memmap open_memmap from_file
        savetxt loadtxt genfromtxt FileHandler
    """,
    network="hub",
    data="evaluation document_bytes val_bytes held_bytes",
    budget="step_seconds _pending _started _settle",
    hidden="""
        popen system fork kill _exit execv execve execvp spawnv spawnl posix_spawn settrace setprofile _getframe
        load_library _load_library load_inline attrgetter methodcaller ProcessPoolExecutor Process import_module
        spec_from_file_location module_from_spec exec_module
    """,
)
# Of these, words that a script may well use for something else, in objects that are its own by their name.
ORDINARY = _words("""
    seed Generator evaluation document_bytes hub step_seconds _pending _started _settle popen system fork kill glob
    Process
""")
INSTANCE = _words("__dict__ __setattr__ __getattr__ __delattr__")  # of what is not the script's own
# These lead from any object to the whole interpreter, the script's own objects among them.
INTERPRETER = _words("""
    __globals__ __builtins__ __code__ __closure__ __subclasses__ __mro__ __bases__ __base__ __getattribute__
    __reduce__ __reduce_ex__ __loader__ __spec__ __import__
""")
# Modules that others have inside: `torch.utils.importlib` is importlib.
INSIDE = _words("""
    importlib builtins inspect ctypes subprocess socket os sys multiprocessing pickle shutil pathlib tempfile runpy
    urllib cpp_extension
""")
CALLS = _table(files="open", hidden="eval exec compile __import__ globals locals vars breakpoint input")
# By any other name they do the same. `compile` and `input` are names that an honest edit gives to things of its own.
HANDED_ON = (CALLS.keys() | {"getattr", "setattr", "delattr", "__builtins__", "__loader__", "__spec__"}) - {
    "compile",
    "input",
}
STORES = _words("load save savez savez_compressed")  # of torch and numpy; a model may have such methods
COMPUTING = ("torch", "numpy", "math")  # whose names are looked up by honest edits too: getattr(F, config.activation)
FOREIGN = _words("prepare time torch numpy math os sys builtins fixed random gc io")  # where they are imported
HANDED_IN = frozenset({"run", "clock"})  # by the fixed side
SHARED = FOREIGN | HANDED_IN  # not the script's to change
OPEN = ("torch.backends.", "torch._inductor.config.", "torch._dynamo.config.")  # settings that are there to be set
FILES = (".npz", ".git", "result.json", "failure.json")  # what a path to a run's own, or to git, ends with
