"""What the programs in Python share: one line for each step, and where the server is."""
import os

env = os.environ
is_weft = env["CLIENT_SERVER"] == "weft"
refused = env["CLIENT_REFUSED"]
ca = env["CLIENT_CA"]
host, port, user = env["PGHOST"], int(env["PGPORT"]), env["PGUSER"]
password, database = env["PGPASSWORD"], env["PGDATABASE"]
tenants = range(1, 9)


def statements(file):
    with open(os.path.join(os.path.dirname(__file__), file)) as text:
        return [each for each in text.read().split(";\n") if each.strip()]


schema = statements("schema.sql")
declarations = statements("declare.sql") if is_weft else []


def version(text):
    print("version", text.split()[0])


def sqlstate(error):
    """The SQLSTATE of an error, wherever the library has put it."""
    while error is not None:
        for name in ("sqlstate", "pgcode"):
            if getattr(error, name, None):
                return getattr(error, name)
        if getattr(error, "args", None) and len(str(error.args[0])) == 5:
            return error.args[0]
        error = getattr(error, "orig", None) or error.__cause__
    return None


def said(name, values):
    values = values if isinstance(values, (list, tuple)) else [values]
    print("ok", name, " ".join(str(value).replace(" ", "_") for value in values), flush=True)


def broke(name, error):
    print("error", name, sqlstate(error), " ".join(f"{type(error).__name__} {error}".split()), flush=True)


def step(name):
    """Runs the function below at once, and prints what it gives."""

    def run(function):
        try:
            said(name, function())
        except Exception as error:
            broke(name, error)

    return run


def none(name, why):
    print("none", name, why)


def failures(*runs):
    """The SQLSTATEs with which all of them fail, in turn."""
    states = []
    for run in runs:
        try:
            run()
            states.append("none")
        except Exception as error:
            states.append(sqlstate(error) or repr(error))
    return states
