"""What a token must be allowed to do on GitHub, in the words that people see where they give it.

Source: "Permissions required for fine-grained personal access tokens" and "Scopes for OAuth
apps" on docs.github.com; ``permissions`` of a workflow's job have names of their own.
"""

# Who is told of reading first wants to open them in most cases, and shall not have to come back.
READ = (
    "the repository permission `Pull requests: read`, or `Pull requests: write` where it shall open or "
    "change them (classic token: `repo`)"
)
WRITE = (
    "the repository permission `Pull requests: write` "
    "(in a workflow `pull-requests: write`; classic token: `repo`)"
)
LABEL = f"{WRITE}, and `Issues: write` for labels that are not there yet"
REVIEWERS = f"{WRITE}, and for teams the organization permission `Members: read` (classic token: `read:org`)"
STATUS = (
    "the repository permission `Commit statuses: write` "
    "(in a workflow `statuses: write`; classic token: `repo`)"
)
CHECKS = "the repository permissions `Commit statuses: read` and `Checks: read` (classic token: `repo`)"
METADATA = "access to the repository"
MERGE = (
    "the repository permissions `Contents: write` and `Pull requests: write` "
    "(in a workflow `contents: write` and `pull-requests: write`; classic token: `repo`)"
)
CONTENTS = (
    "the repository permission `Contents: write` "
    "(in a workflow `contents: write`; classic token: `repo`), and `Workflows: write` for workflow files"
)
