"""Credentials that show what they are: keys of providers, private keys, tokens, and addresses with passwords.

The list is ours; each line names where its format is said, mostly by the provider. What has no form of its own is
found by the key it stands under (`keyed`).
"""

from __future__ import annotations

from typing import Final

from collector_processor.guard.privacy.pattern import Check, Pattern
from collector_processor.guard.privacy.placeholders import high_entropy, is_placeholder
from collector_processor.guard.privacy.vocabulary import Category


def _key(name: str, expression: bytes, source: str, check: Check | None = None) -> Pattern:
    return Pattern(name, Category.CREDENTIAL, expression, source, check)


def _told(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Accept what isn't a placeholder: documentation writes `user:password@host` and `sk-xxxxxxxx` too."""
    value = text[start:end]
    return None if is_placeholder(value.rpartition(":")[2]) else (start, end)


def _random(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Accept what looks random: the form alone is also that of words."""
    return (start, end) if high_entropy(text[start:end]) else None


PROVIDERS: Final = (
    _key(
        "aws-access-key-id",
        rb"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html",
    ),
    _key(
        "aws-bedrock-key",
        rb"\bABSK[A-Za-z0-9+/]{100,}={0,2}",
        "https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html",
    ),
    _key(
        "google-api-key",
        rb"\bAIza[A-Za-z0-9_-]{35}",
        "https://cloud.google.com/docs/authentication/api-keys",
    ),
    _key(
        "google-oauth-client-secret",
        rb"\bGOCSPX-[A-Za-z0-9_-]{28}",
        "https://developers.google.com/identity/protocols/oauth2",
    ),
    _key(
        "google-oauth-token",
        rb"\bya29\.[A-Za-z0-9_-]{20,}",
        "https://developers.google.com/identity/protocols/oauth2",
    ),
    _key(
        "google-oauth-refresh-token",
        rb"\b1//0[A-Za-z0-9_-]{30,}",
        "https://developers.google.com/identity/protocols/oauth2",
    ),
    _key(
        "azure-storage-key",
        rb"(?i)(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{40,90}={1,2})",
        "https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string",
    ),
    _key(
        "azure-shared-access-signature",
        rb"[?&;]sig=([A-Za-z0-9%+/]{40,}(?:=|%3[Dd])?)",
        "https://learn.microsoft.com/rest/api/storageservices/create-service-sas",
    ),
    _key(
        "azure-client-secret",
        rb"\b[A-Za-z0-9_~.]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}",
        "https://learn.microsoft.com/purview/sit-defn-azure-ad-client-secret",
    ),
    _key(
        "azure-devops-token",
        rb"\b[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}\b",
        "https://learn.microsoft.com/azure/devops/organizations/accounts/use-personal-access-tokens-to-authenticate",
    ),
    _key(
        "github-token",
        rb"\bgh[oprsu]_[A-Za-z0-9]{36,255}",
        "https://docs.github.com/authentication/keeping-your-account-and-data-secure/about-authentication-to-github",
    ),
    _key(
        "github-fine-grained-token",
        rb"\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
        "https://docs.github.com/authentication/keeping-your-account-and-data-secure/about-authentication-to-github",
    ),
    _key(
        "gitlab-token",
        rb"\bgl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|soat|ffct|wt)-[A-Za-z0-9_.-]{20,}",
        "https://docs.gitlab.com/security/tokens/",
    ),
    _key(
        "slack-token",
        rb"\bxox[abceoprs]-[A-Za-z0-9-]{10,}",
        "https://api.slack.com/authentication/token-types",
    ),
    _key(
        "slack-app-token",
        rb"\bxapp-[0-9]-[A-Z0-9]{5,}-[0-9]{5,}-[a-z0-9]{20,}",
        "https://api.slack.com/authentication/token-types",
    ),
    _key(
        "slack-webhook",
        rb"\bhooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9_/+-]{20,})",
        "https://api.slack.com/messaging/webhooks",
    ),
    _key(
        "stripe-key",
        rb"\b(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}",
        "https://docs.stripe.com/keys",
    ),
    _key("stripe-webhook-secret", rb"\bwhsec_[A-Za-z0-9+/=]{24,}", "https://docs.stripe.com/webhooks"),
    _key(
        "openai-key",
        rb"\bsk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,}",
        "https://platform.openai.com/docs/api-reference/authentication",
        _told,
    ),
    _key(
        "openai-legacy-key",
        rb"\bsk-[A-Za-z0-9]{32,}\b",
        "https://platform.openai.com/docs/api-reference/authentication",
        _random,
    ),
    _key("anthropic-key", rb"\bsk-ant-[A-Za-z0-9_-]{20,}", "https://docs.anthropic.com/en/api/overview", _told),
    _key("openrouter-key", rb"\bsk-or-v1-[0-9a-f]{64}\b", "https://openrouter.ai/docs/api-reference/authentication"),
    _key("groq-key", rb"\bgsk_[A-Za-z0-9]{52}\b", "https://console.groq.com/docs/quickstart"),
    _key("xai-key", rb"\bxai-[A-Za-z0-9]{80}\b", "https://docs.x.ai/docs/tutorial"),
    _key("perplexity-key", rb"\bpplx-[A-Za-z0-9]{40,64}\b", "https://docs.perplexity.ai/guides/getting-started"),
    _key("replicate-token", rb"\br8_[A-Za-z0-9]{37}\b", "https://replicate.com/docs/topics/security/api-tokens"),
    _key(
        "huggingface-token",
        rb"\b(?:hf|api_org)_[A-Za-z]{34}\b",
        "https://huggingface.co/docs/hub/security-tokens",
    ),
    _key(
        "langsmith-key",
        rb"\blsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}\b",
        "https://docs.smith.langchain.com/administration/how_to_guides/organization_management/create_account_api_key",
    ),
    _key(
        "langfuse-key",
        rb"\bsk-lf-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
        "https://langfuse.com/docs/api",
    ),
    _key(
        "tavily-key", rb"\btvly-(?:dev-|prod-)?[A-Za-z0-9]{28,}\b", "https://docs.tavily.com/documentation/quickstart"
    ),
    _key(
        "pinecone-key",
        rb"\bpcsk_[A-Za-z0-9]{4,10}_[A-Za-z0-9]{50,}",
        "https://docs.pinecone.io/guides/projects/manage-api-keys",
    ),
    _key("npm-token", rb"\bnpm_[A-Za-z0-9]{36}\b", "npm Docs, About access tokens"),
    _key("pypi-token", rb"\bpypi-AgE[A-Za-z0-9_-]{50,}", "PyPI, Help, How can I use API tokens"),
    _key("rubygems-key", rb"\brubygems_[0-9a-f]{48}\b", "RubyGems Guides, API key scopes"),
    _key("docker-token", rb"\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{24,}", "https://docs.docker.com/security/access-tokens/"),
    _key("twilio-key", rb"\bSK[0-9a-f]{32}\b", "https://www.twilio.com/docs/iam/api-keys"),
    _key("twilio-account", rb"\bAC[0-9a-f]{32}\b", "https://www.twilio.com/docs/iam/api/account"),
    _key(
        "sendgrid-key",
        rb"\bSG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{39,50}",
        "https://docs.sendgrid.com/ui/account-and-settings/api-keys",
    ),
    _key(
        "mailgun-key", rb"\bkey-[0-9a-f]{32}\b", "https://documentation.mailgun.com/docs/mailgun/api-reference/mg-auth"
    ),
    _key(
        "mailchimp-key",
        rb"\b[0-9a-f]{32}-us[0-9]{1,2}\b",
        "https://mailchimp.com/developer/marketing/guides/quick-start/",
    ),
    _key(
        "digitalocean-token",
        rb"\bdo[opr]_v1_[0-9a-f]{64}\b",
        "https://docs.digitalocean.com/reference/api/create-personal-access-token/",
    ),
    _key("shopify-token", rb"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b", "https://shopify.dev/docs/apps/auth"),
    _key(
        "square-token", rb"\bEAAA[A-Za-z0-9_-]{56,}", "https://developer.squareup.com/docs/build-basics/access-tokens"
    ),
    _key(
        "telegram-bot-token",
        rb"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}\b",
        "https://core.telegram.org/bots/api#authorizing-your-bot",
    ),
    _key(
        "discord-token",
        rb"\b[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}\b",
        "https://discord.com/developers/docs/reference#authentication",
    ),
    _key(
        "databricks-token", rb"\bdapi[0-9a-h]{32}(?:-[0-9])?\b", "https://docs.databricks.com/dev-tools/auth/pat.html"
    ),
    _key(
        "grafana-token",
        rb"\bglsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}\b",
        "https://grafana.com/docs/grafana/latest/administration/service-accounts/",
    ),
    _key(
        "newrelic-key", rb"\bNRAK-[A-Z0-9]{27}\b", "https://docs.newrelic.com/docs/apis/intro-apis/new-relic-api-keys/"
    ),
    _key(
        "linear-key",
        rb"\blin_api_[A-Za-z0-9]{40}\b",
        "https://developers.linear.app/docs/graphql/working-with-the-graphql-api",
    ),
    _key(
        "notion-token",
        rb"\b(?:ntn_[A-Za-z0-9]{40,50}|secret_[A-Za-z0-9]{43})\b",
        "https://developers.notion.com/docs/authorization",
    ),
    _key(
        "airtable-token",
        rb"\bpat[A-Za-z0-9]{14}\.[0-9a-f]{64}\b",
        "https://airtable.com/developers/web/guides/personal-access-tokens",
    ),
    _key(
        "atlassian-token",
        rb"\bATATT3[A-Za-z0-9_=-]{60,}",
        "https://support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account/",
    ),
    _key(
        "vault-token", rb"\bhv[bsr]\.[A-Za-z0-9_-]{24,}", "https://developer.hashicorp.com/vault/docs/concepts/tokens"
    ),
    _key(
        "terraform-token",
        rb"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}",
        "https://developer.hashicorp.com/terraform/cloud-docs/users-teams-organizations/api-tokens",
    ),
    _key("supabase-token", rb"\bsbp_[0-9a-f]{40}\b", "https://supabase.com/docs/guides/platform/access-control"),
    _key("figma-token", rb"\bfigd_[A-Za-z0-9_-]{40,}", "https://www.figma.com/developers/api#access-tokens"),
    _key("age-secret-key", rb"\bAGE-SECRET-KEY-1[0-9A-Z]{58}\b", "https://github.com/C2SP/C2SP/blob/main/age.md"),
)

GENERAL: Final = (
    _key(
        "private-key",
        rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[^\x00-]*(?:-----END [A-Z0-9 ]{0,40}-----)?",
        "RFC 7468; RFC 9580 section 6.2 for OpenPGP. Without its end too, because texts are shortened",
    ),
    _key(
        "putty-private-key",
        rb"PuTTY-User-Key-File-[23]: [^\x00]*?Private-MAC: [0-9a-f]{40,64}",
        "https://the.earth.li/~sgtatham/putty/latest/htmldoc/AppendixC.html",
    ),
    _key(
        "json-web-token",
        rb"\beyJ[A-Za-z0-9_-]{8,}\.(?:eyJ)?[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){1,3}",
        "RFC 7519; RFC 7516 for the encrypted form of five parts",
    ),
    _key(
        "database-url-password",
        rb"(?i)\b(?:postgres|postgresql|mysql|mariadb|mongodb|redis|rediss|amqp|amqps|mssql|oracle|clickhouse|"
        rb"cockroachdb|couchdb|neo4j|bolt|nats|kafka|ldap|ldaps)(?:\+[a-z0-9]+)?://"
        rb"""([^\x00-\x20/:@"'<>`]{0,200}:[^\x00-\x20"'<>`]{1,200})@""",
        "RFC 3986 section 3.2.1, as databases use it: a slash may stand unescaped in the password",
        _told,
    ),
    _key(
        "url-password",
        rb"""(?i)\b[a-z][a-z0-9+.-]{1,20}://([^\x00-\x20/:@"'<>`]{0,200}:[^\x00-\x20/@"'<>`]{1,200})@[a-z0-9\[]""",
        "RFC 3986 section 3.2.1; RFC 7617",
        _told,
    ),
    _key(
        "bearer-token",
        rb"(?i)\bbearer[ \t]+([A-Za-z0-9._~+/=-]{16,})",
        "RFC 6750 section 2.1",
        _random,
    ),
    _key(
        "basic-authorization",
        rb"(?i)\bauthorization\b[^\x00-\x1f]{0,6}\bbasic[ \t]+([A-Za-z0-9+/]{6,}={0,2})",
        "RFC 7617",
    ),
)

CREDENTIALS: Final = PROVIDERS + GENERAL
