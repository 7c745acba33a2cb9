# Asks dnf, through its own library, to resolve and download. The folder with the
# request and for the answer is the only argument; no word of a spec comes here.
import json
import os
import shutil
import sys

work = sys.argv[1]
with open(os.path.join(work, "request.json"), encoding="utf-8") as f:
    request = json.load(f)
answer = {"repositories": [], "packages": []}


def finish(kind="", message=""):
    answer["kind"], answer["message"] = kind, message
    temporary = os.path.join(work, "answer.tmp")
    with open(temporary, "w", encoding="utf-8") as f:
        json.dump(answer, f)
    os.rename(temporary, os.path.join(work, "answer.json"))
    sys.exit(0)


try:
    import dnf
    import dnf.exceptions
    import dnf.rpm
    import hawkey
except ImportError as e:
    finish("manager", "the image's python3 has no dnf: %s" % e)

try:
    base = dnf.Base()
    conf = base.conf
    conf.read()
    conf.substitutions["releasever"] = dnf.rpm.detect_releasever("/")
    conf.substitutions.update_from_etc("/", varsdir=conf.varsdir)
    conf.cachedir = os.path.join(work, "cache")
    conf.best = True
    conf.install_weak_deps = False
    conf.assumeyes = True
    base.read_all_repos()
    own = base.repos.add_new_repo(request["own"], conf, baseurl=["file://" + os.path.join(work, "own")], gpgcheck=False, repo_gpgcheck=False, priority=50)
    for repo in base.repos.iter_enabled():
        # Otherwise what is chosen would depend on who answers today.
        repo.skip_if_unavailable = False
        repo.timeout = request["timeout"]
        if repo is not own:
            answer["repositories"].append({"id": repo.id, "url": (list(repo.baseurl) or [repo.metalink or repo.mirrorlist or ""])[0]})
    base.fill_sack(load_system_repo=True)
    for name in request["install"]:
        base.install(name)
    base.resolve()
except (dnf.exceptions.DepsolveError, dnf.exceptions.MarkingError) as e:
    finish("unresolvable", str(e))
except dnf.exceptions.RepoError as e:
    finish("repository", str(e))
except dnf.exceptions.Error as e:
    finish("manager", str(e))

packages = sorted(base.transaction.install_set)
if sum(p.downloadsize for p in packages) > request["limit"]:
    finish("size", "%d packages of %d bytes" % (len(packages), sum(p.downloadsize for p in packages)))
removed = [str(p) for p in base.transaction.remove_set if p.name not in set(q.name for q in packages)]
if removed:
    finish("unresolvable", "packages of the image would have to go: " + ", ".join(sorted(removed)))
try:
    base.download_packages([p for p in packages if p.repoid != request["own"]])
except dnf.exceptions.Error as e:
    finish("download", str(e))
for number, p in enumerate(packages):
    entry = {"name": p.name, "evr": p.evr, "arch": p.arch, "repository": p.repoid}
    answer["packages"].append(entry)
    if p.repoid == request["own"]:
        entry["location"] = p.location
        continue
    try:
        result, message = base.package_signature_check(p)
        if result == 1:
            base.package_import_key(p, fullaskcb=lambda *_: True)
            result, message = base.package_signature_check(p)
    except (dnf.exceptions.Error, ValueError) as e:
        result, message = 2, str(e)
    if result != 0:
        finish("signature", "%s from %s: %s" % (p, p.repoid, message))
    kind, checksum = p.chksum
    entry["checksum"] = hawkey.chksum_name(kind) + ":" + checksum.hex()
    entry["url"] = p.remote_location() or ""
    entry["file"] = "%d.rpm" % number
    # What lies in a folder is not downloaded, and not ours to take away.
    take = shutil.move if p.localPkg().startswith(conf.cachedir + "/") else shutil.copyfile
    take(p.localPkg(), os.path.join(work, "packages", entry["file"]))
finish()
