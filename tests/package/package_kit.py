"""Copies of the sources in temporary folders, and commands on them."""
import os
import shutil
import subprocess

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHANGES_A_BUILD = ("CMAKE_", "P11KMS_", "SOURCE_DATE_EPOCH", "CFLAGS", "LDFLAGS")


def attempt(*command, **env):
    """(exit status, output) of a command. What would change a build is as `env` says, or not there."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(CHANGES_A_BUILD)}
    done = subprocess.run(command, env={**kept, **env}, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def run(*command, **env):
    status, said = attempt(*command, **env)
    if status != 0:
        raise AssertionError(f"{command}: {status}\n{said}")
    return said


def copy(folder):
    """The sources without .git, as in a tarball: their files keep their dates."""
    without = shutil.ignore_patterns(".git", "build", "__pycache__")
    return shutil.copytree(SOURCE, folder, ignore=without)
