"""Change management by the stock client: what a container changed becomes an image, as with a real dockerd."""

import json

import images
import pytest
from cluster import wait_until

SCRIPT = ("echo new > /new; rm /etc/group; rm -r /usr; mkdir /usr; echo in > /usr/only; chmod 4711 /new; "
          "ln -s new /link; ln /new /hard; mkfifo /fifo; touch -d '2001-02-03 04:05:06' /old; chown 5:6 /old")
TREE = "for f in $(find / -xdev -path /proc -prune -o -path /sys -prune -o -path /dev -prune -o -print | sort); do " \
       "stat -c '%n %F %a %u:%g %h %Y' $f; done"


@pytest.fixture
def both(cluster, dockerd):
    peers = (cluster, dockerd)
    for peer in peers:
        peer.docker("import", "--change", 'CMD ["sh"]', "--change", "ENV A=base", "-", "base:1",
                    input=images.busybox_tar(), text=False)
    yield peers
    for peer in peers:
        for image in ("committed:1", "committed:2", "base:1"):
            peer.docker("rmi", "-f", image, check=False)


def tree(peer, image):
    """Everything but what differs by its time of making."""
    lines = peer.docker("run", "--rm", "--network", "none", image, "sh", "-c", TREE).stdout.splitlines()
    names = ("/new", "/usr", "/usr/only", "/link", "/hard", "/fifo", "/old", "/etc/group")
    return [line.rsplit(" ", 1)[0] for line in lines if line.split()[0] in names]


def test_changes_become_an_image(cluster, dockerd, registry, both):
    seen = []
    for peer in both:
        peer.docker("run", "--name", "changed", "--network", "none", "base:1", "sh", "-c", SCRIPT)
        identity = peer.docker("commit", "-a", "me", "-m", "why", "-c", "ENV B=new", "-c", 'CMD ["echo", "it"]', "-c",
                               "LABEL l=v", "-c", "EXPOSE 80", "changed", "committed:1").stdout.strip()
        inspected = json.loads(peer.docker("inspect", "committed:1").stdout)[0]
        assert inspected["Id"] == identity
        assert peer.docker("run", "--rm", "--network", "none", "committed:1").stdout == "it\n"
        seen.append((inspected, tree(peer, "committed:1")))
        peer.docker("rm", "changed")
    (ours, our_tree), (theirs, their_tree) = seen
    assert our_tree == their_tree
    for field in ("Author", "Comment", "Architecture", "Os", "RepoTags"):
        assert ours[field] == theirs[field], field
    for field in ("Env", "Cmd", "Labels", "ExposedPorts", "Entrypoint", "WorkingDir", "User", "Volumes"):
        assert ours["Config"][field] == theirs["Config"][field], field
    assert len(ours["RootFS"]["Layers"]) == len(theirs["RootFS"]["Layers"]) == 2
    history = [peer.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}", "committed:1")
               .stdout.splitlines()[0] for peer in both]
    assert history[0] == history[1]
    # Pushed from here, it is the same tree over there.
    name = f"{registry.address}/committed:1"
    cluster.docker("tag", "committed:1", name)
    cluster.docker("push", name)
    dockerd.docker("pull", name)
    assert tree(dockerd, name) == our_tree
    for peer in both:
        peer.docker("rmi", name)


def test_a_running_container_is_paused_and_goes_on(cluster):
    cluster.docker("run", "-d", "--name", "runs", "--network", "none", "busybox", "sh", "-c",
                   "i=0; while true; do i=$((i+1)); echo $i > /new; mv /new /count; done")
    count = lambda: cluster.docker("exec", "runs", "cat", "/count", check=False).stdout  # noqa: E731
    wait_until(count, "it counts")
    for arguments in ([], ["--pause=false"]):
        cluster.docker("commit", *arguments, "runs", "committed:2")
        assert cluster.docker("inspect", "-f", "{{.State.Status}}", "runs").stdout == "running\n"
        assert int(cluster.docker("run", "--rm", "--network", "none", "committed:2", "cat", "/count").stdout) > 0
        before = count()
        wait_until(lambda: count() not in ("", before), "it goes on counting")
    cluster.docker("rm", "-f", "runs")
    cluster.docker("rmi", "committed:2")


def test_failures_in_dockers_words(both):
    for arguments in (["commit", "nosuch"], ["commit", "nosuch", "UPPER"]):
        said = [peer.docker(*arguments, check=False).stderr for peer in both]
        assert said[0] == said[1], arguments
    for peer in both:
        peer.docker("create", "--name", "made", "--network", "none", "base:1")
    said = [peer.docker("commit", "-c", "RUN true", "made", check=False).stderr for peer in both]
    assert said[0] == said[1]
    for peer in both:
        # Nothing was changed: no layer is added, and the words are kept.
        peer.docker("commit", "-m", "only words", "made", "committed:1")
    counts = [len(json.loads(peer.docker("inspect", "committed:1").stdout)[0]["RootFS"]["Layers"]) for peer in both]
    assert counts[0] == counts[1]
    for peer in both:
        peer.docker("rm", "made")
