# Answers the queries in the folders that are its arguments, as rpmspec would: with
# the library that rpmspec is made of, but reading each spec once instead of twice,
# and rpm's own configuration once for all. It answers only what is plain. Whatever
# it cannot say for certain, errors first of all, it leaves to rpmspec.
import os
import signal
import sys
import time

import rpm

LIMIT = 60  # seconds for one spec


def read(path):
    with open(path, "rb") as f:
        return f.read().decode("utf-8", "surrogateescape")


def write(path, text):
    # Only what is not there: a spec may have put a pipe in its place.
    f = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with os.fdopen(f, "wb") as f:
        f.write(text.encode("utf-8", "surrogateescape"))


def define(macro):
    # What rpmspec's option --define does: the name may have arguments. The text
    # stands in brackets that it does not hold.
    fence = "="
    while "]" + fence + "]" in macro:
        fence += "="
    rpm.expandMacro("%%{lua:rpm.define([%s[\n%s]%s])}" % (fence, macro, fence))


def options(words):
    form, target, defines = "", None, []
    words = iter(words)
    for word in words:
        if word == "--":
            return form, target, defines, next(words)
        value = next(words)
        if word == "--queryformat":
            form = value
        elif word == "--target":
            target = value
        elif word == "--define":
            defines.append(value)
        else:
            raise ValueError(word)
    raise ValueError("no spec")


def answer(query):
    form, target, defines, path = options(read(query + "/args").split("\0")[:-1])
    sources = read(query + "/about").split()[0]
    if target:
        rpm.reloadConfig(target)
    define("_sourcedir " + os.getcwd() + "/sets/" + sources)
    for macro in defines:
        define(macro)
    spec = rpm.spec(path, rpm.RPMSPEC_ANYARCH | rpm.RPMSPEC_FORCE)
    built = ""
    for package in spec.packages:
        # Nothing here tells a package without %files from one whose list is empty.
        if package.fileList is None and package.fileFile is None:
            raise ValueError("is it built?")
        built += package.header.format(form)
    write(query + "/builtrpms.out", built)
    write(query + "/srpm.out", spec.sourceHeader.format(form))
    write(query + "/srpm.err", "")
    write(query + "/srpm.status", "0\n")
    write(query + "/builtrpms.status", "0\n")


def attempt(query):
    log = os.open(query + "/builtrpms.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setsid()
            os.dup2(log, 1)
            os.dup2(log, 2)
            answer(query)
            status = 0
        finally:
            os._exit(status)
    os.close(log)
    end = time.time() + LIMIT
    pause = 0.001
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status == 0
        if time.time() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            write(query + "/query.status", "124\n")
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)


for query in sys.argv[1:]:
    if attempt(query):
        write(query + "/query.status", "0\n")
