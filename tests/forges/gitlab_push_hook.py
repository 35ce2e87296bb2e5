"""What GitLab does and says after a push: push options for merge requests, and links to them.

https://docs.gitlab.com/topics/git/commit/#push-options-for-merge-requests. The hook is a real one, run by
`git receive-pack`; it hands the options that Git gave it to the double and prints what that answers.
"""

import textwrap
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from tests.forges import gitlab_rules
from tests.forges.gitlab_state import MergeRequest, Project, User

# The hook and the double are on one machine: nothing is gained by trusting the test's authority there.
CLIENTS = {
    "http": 'http.client.HTTPConnection("127.0.0.1", {port})',
    "https": 'http.client.HTTPSConnection("127.0.0.1", {port}, context=ssl._create_unverified_context())',
}
# Python alone, without a third-party HTTP client: a hook starts once for each push.
HOOK = """\
#!{python} -IS
import http.client, json, os, ssl, sys
count = int(os.environ.get("GIT_PUSH_OPTION_COUNT", "0"))
told = {{
    "project": "{project}",
    "user": os.environ["REMOTE_USER"],
    "options": [os.environ[f"GIT_PUSH_OPTION_{{n}}"] for n in range(count)],
    "changes": [line.split() for line in sys.stdin],
}}
connection = {client}
connection.request("POST", "{path}", json.dumps(told))
sys.stdout.write(connection.getresponse().read().decode())
"""
PROTECTION = """\
#!/bin/sh
while read -r old new ref; do
  test "$ref" = "{ref}" || continue
  echo "GitLab: You are not allowed to push code to protected branches on this project." >&2
  exit 1
done
"""
ZERO = "0" * 40
FLAGS = {"create", "draft", "squash", "auto_merge", "merge_when_pipeline_succeeds", "remove_source_branch"}
VALUES = {"target", "title", "description", "label", "assign"}


def post_receive(
    project: Project, user: User, users: Mapping[str, User], url: str, told: dict[str, Any]
) -> str:
    """The text for the one who pushes."""
    gitlab_rules.refresh(project)
    options = merge_request_options(told["options"])
    branches = [
        ref.removeprefix("refs/heads/")
        for _, new, ref in told["changes"]
        if ref.startswith("refs/heads/") and new != ZERO
    ]
    branches = [one for one in branches if one != project.default_branch]
    text = ""
    for branch in branches if options else ():
        if error := follow(project, user, users, branch, options):
            quoted = " ".join(f"'{one}'" for one in told["options"])
            text += boxed(f"WARNINGS:\nError encountered with push options {quoted}: {error}")
    gitlab_rules.settle_auto_merge(project)
    if project.prints_links:
        text += "".join(link(project, url, branch) for branch in branches)
    return text


def boxed(text: str) -> str:
    """As Gitaly prints alerts: broken at 68 characters, centred, between two rules."""
    lines = textwrap.wrap(" ".join(text.split()), 68, break_long_words=False, break_on_hyphens=False)
    rule = "=" * 72
    return "\n".join(["", rule, "", *(line.center(72).rstrip() for line in lines), "", rule, "", ""])


def merge_request_options(options: list[str]) -> dict[str, list[str]]:
    """Those of merge requests; what GitLab does not know it passes over."""
    found: dict[str, list[str]] = {}
    for option in options:
        name, _, value = option.partition("=")
        name = name.removeprefix("merge_request.")
        if option.startswith("merge_request.") and name in FLAGS | VALUES:
            found.setdefault(name, []).append(value)
    return found


def follow(
    project: Project, user: User, users: Mapping[str, User], branch: str, options: dict[str, list[str]]
) -> str | None:
    """Open or change the branch's merge request; returns GitLab's complaint."""
    target = options.get("target", [project.default_branch])[-1]
    if project.tip(target) is None:
        return f"Target branch {project.path}:{target} does not exist"
    one = next((each for each in project.opened() if (each.source, each.fork) == (branch, None)), None)
    if one is None:
        if "create" not in options:
            needed = "A merge_request.create push option is required"
            return f"{needed} to create a merge request for branch {branch}"
        title = options.get("title", [branch])[-1]
        one = gitlab_rules.open_merge_request(project, user, source=branch, target=target, title=title)
        gitlab_rules.set_assignees(project, one, [user])
    apply(project, users, one, options)
    if options.keys() & {"auto_merge", "merge_when_pipeline_succeeds"}:
        one.armed, one.merged_by = {"squash": one.squash}, user
    return None


def apply(
    project: Project, users: Mapping[str, User], one: MergeRequest, options: dict[str, list[str]]
) -> None:
    if "title" in options:
        one.title = options["title"][-1]
    if "draft" in options and not one.draft:
        one.title = f"Draft: {one.title}"
    if "description" in options:
        one.description = options["description"][-1].replace("\\n", "\n")
    if "label" in options:
        gitlab_rules.add_labels(project, one, options["label"])
    named = [users[name] for name in options.get("assign", ()) if name in users]
    gitlab_rules.set_assignees(project, one, [*one.assignees, *(u for u in named if u not in one.assignees)])
    one.squash = one.squash or "squash" in options


def link(project: Project, url: str, branch: str) -> str:
    one = next((each for each in project.opened() if (each.source, each.fork) == (branch, None)), None)
    if one is not None:
        where = f"{url}/{project.path}/-/merge_requests/{one.iid}"
        return f"\nView merge request for {branch}:\n  {where}\n\n"
    query = urlencode({"merge_request[source_branch]": branch})
    where = f"{url}/{project.path}/-/merge_requests/new?{query}"
    return f"\nTo create a merge request for {branch}, visit:\n  {where}\n\n"
