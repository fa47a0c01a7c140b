-- What the agent publishes: every table of findings.duckdb, and what each column means.
-- Nothing here is about one person: numbers of people, never people, and none of fewer than k of
-- them. What would tell of fewer is NULL, or no row at all. A week is its Monday.

-- One transaction: a commit for each comment would take longer than all counting.
BEGIN;

CREATE TABLE findings.meta (key VARCHAR, value VARCHAR);
COMMENT ON TABLE findings.meta IS 'Facts about this file as a whole, one a row.';
COMMENT ON COLUMN findings.meta.key IS 'published_at, catalogue_version, sundial_version, schema_version, first_day, last_day, last_week (Monday of the last complete week), coverage_floor, k.';
COMMENT ON COLUMN findings.meta.value IS 'The fact as text; NULL where nothing was read yet.';

CREATE TABLE findings.apps (
    app VARCHAR, name VARCHAR, vendor VARCHAR, category VARCHAR, categories VARCHAR[],
    audience VARCHAR, homepage VARCHAR, on_premises BOOLEAN, first_seen DATE, last_seen DATE, requests BIGINT
);
COMMENT ON TABLE findings.apps IS 'Apps that the logs have seen, one a row.';
COMMENT ON COLUMN findings.apps.app IS 'Id of the app in the catalogue.';
COMMENT ON COLUMN findings.apps.name IS 'Name as the vendor writes it.';
COMMENT ON COLUMN findings.apps.vendor IS 'Company behind the app.';
COMMENT ON COLUMN findings.apps.category IS 'Category the app is filed under.';
COMMENT ON COLUMN findings.apps.categories IS 'All its categories, the one it is filed under first.';
COMMENT ON COLUMN findings.apps.audience IS 'business, personal or both.';
COMMENT ON COLUMN findings.apps.homepage IS 'Vendor''s page.';
COMMENT ON COLUMN findings.apps.on_premises IS 'Whether all its hosts are the company''s own: comparable, but no SaaS.';
COMMENT ON COLUMN findings.apps.first_seen IS 'Monday of the first week with use that got through; NULL if there was none.';
COMMENT ON COLUMN findings.apps.last_seen IS 'Monday of the last week with use that got through; NULL if there was none.';
COMMENT ON COLUMN findings.apps.requests IS 'Requests of all signals that usage_weekly tells of, blocked ones included.';

CREATE TABLE findings.vendor_facts (
    app VARCHAR, fact VARCHAR, name VARCHAR, answer VARCHAR, value VARCHAR, date DATE, age VARCHAR,
    stated_by VARCHAR, link VARCHAR, source VARCHAR, licence VARCHAR
);
COMMENT ON TABLE findings.vendor_facts IS 'What is stated of the apps that were seen and of their vendors: stated, not audited. What has no row is unknown, never a no.';
COMMENT ON COLUMN findings.vendor_facts.app IS 'Id of the app.';
COMMENT ON COLUMN findings.vendor_facts.fact IS 'What it is about: mfa, sso, scim, certifications, breach and others.';
COMMENT ON COLUMN findings.vendor_facts.name IS 'The same for readers.';
COMMENT ON COLUMN findings.vendor_facts.answer IS 'yes, no, or unknown where somebody looked and found nothing clear.';
COMMENT ON COLUMN findings.vendor_facts.value IS 'The detail in a few words; NULL if there is none.';
COMMENT ON COLUMN findings.vendor_facts.date IS 'Day on which it was stated or last checked; NULL if nobody says.';
COMMENT ON COLUMN findings.vendor_facts.age IS 'On the day of publishing: current, old (24 months or more) or undated.';
COMMENT ON COLUMN findings.vendor_facts.stated_by IS 'vendor, or whoever else says so.';
COMMENT ON COLUMN findings.vendor_facts.link IS 'Page that says so, an https address.';
COMMENT ON COLUMN findings.vendor_facts.source IS 'Where it was taken from.';
COMMENT ON COLUMN findings.vendor_facts.licence IS 'Terms of that source.';

CREATE TABLE findings.categories (category VARCHAR, name VARCHAR, description VARCHAR);
COMMENT ON TABLE findings.categories IS 'Categories of the catalogue, one a row.';
COMMENT ON COLUMN findings.categories.category IS 'Id of the category.';
COMMENT ON COLUMN findings.categories.name IS 'Name for readers.';
COMMENT ON COLUMN findings.categories.description IS 'What belongs in it.';

CREATE TABLE findings.departments (
    department VARCHAR, headcount INTEGER, basis VARCHAR, first_day DATE, last_day DATE,
    parent VARCHAR, dotted VARCHAR[]
);
COMMENT ON TABLE findings.departments IS 'Departments of the directory, of the subnets and of the logs, one a row; of one with fewer than k people nothing but its name.';
COMMENT ON COLUMN findings.departments.department IS 'Name; (unknown) holds what no department could be found for.';
COMMENT ON COLUMN findings.departments.headcount IS 'People in the last week by the directory, else by the subnets; NULL if neither says.';
COMMENT ON COLUMN findings.departments.basis IS 'What stands for a person: person, or address where only addresses are seen.';
COMMENT ON COLUMN findings.departments.first_day IS 'Monday of the first week with any request from it; NULL if never seen, or too small.';
COMMENT ON COLUMN findings.departments.last_day IS 'Monday of the last week with any request from it; NULL if never seen, or too small.';

COMMENT ON COLUMN findings.departments.parent IS 'Unit above it by the directory; NULL if that names none.';
COMMENT ON COLUMN findings.departments.dotted IS 'Departments of which k people or more belong here too by a dotted line, in the last week; such people count in their own department only.';

CREATE TABLE findings.divisions (division VARCHAR, department VARCHAR, depth INTEGER);
COMMENT ON TABLE findings.divisions IS 'The tree of the directory: every unit that has others below it, with each department in it. What a division does is the sum of what these departments do.';
COMMENT ON COLUMN findings.divisions.division IS 'Unit that others are below.';
COMMENT ON COLUMN findings.divisions.department IS 'Department in it: itself, or one below it.';
COMMENT ON COLUMN findings.divisions.depth IS 'How many levels below it the department is; 0 for itself.';

CREATE TABLE findings.usage_daily (
    day DATE, app VARCHAR, department VARCHAR, signal VARCHAR, evidence VARCHAR,
    people INTEGER, requests BIGINT, blocked BIGINT, bytes_out BIGINT, bytes_in BIGINT
);
COMMENT ON TABLE findings.usage_daily IS 'Traffic of an app in a department by day and signal, for weeks of which every day has k people or more.';
COMMENT ON COLUMN findings.usage_daily.day IS 'Day in the time zone of the source.';
COMMENT ON COLUMN findings.usage_daily.app IS 'Id of the app.';
COMMENT ON COLUMN findings.usage_daily.department IS 'Department of the person on that day.';
COMMENT ON COLUMN findings.usage_daily.signal IS 'How the hosts are used: app, sign_in, upload, api, webhook, embed, tracker, cdn, telemetry, push.';
COMMENT ON COLUMN findings.usage_daily.evidence IS 'What the signal proves: use, machine or embedded.';
COMMENT ON COLUMN findings.usage_daily.people IS 'People behind the requests, also of blocked ones, rounded down to a multiple of k; shared addresses are not people.';
COMMENT ON COLUMN findings.usage_daily.requests IS 'Requests, blocked ones included.';
COMMENT ON COLUMN findings.usage_daily.blocked IS 'Requests that were refused, rounded down to a multiple of k.';
COMMENT ON COLUMN findings.usage_daily.bytes_out IS 'Bytes from the clients; NULL where no log says.';
COMMENT ON COLUMN findings.usage_daily.bytes_in IS 'Bytes to the clients; NULL where no log says.';

CREATE TABLE findings.usage_weekly (
    week DATE, app VARCHAR, department VARCHAR, evidence VARCHAR,
    people INTEGER, requests BIGINT, blocked BIGINT, bytes_out BIGINT, bytes_in BIGINT
);
COMMENT ON TABLE findings.usage_weekly IS 'Traffic of an app in a department by week and evidence, NULL of fewer than k people; the last week may be incomplete.';
COMMENT ON COLUMN findings.usage_weekly.week IS 'Monday of the week.';
COMMENT ON COLUMN findings.usage_weekly.app IS 'Id of the app.';
COMMENT ON COLUMN findings.usage_weekly.department IS 'Department of the person on each day.';
COMMENT ON COLUMN findings.usage_weekly.evidence IS 'use, machine or embedded.';
COMMENT ON COLUMN findings.usage_weekly.people IS 'People behind the requests of the week, also of blocked ones, rounded down to a multiple of k; NULL for fewer than k.';
COMMENT ON COLUMN findings.usage_weekly.requests IS 'Requests, blocked ones included.';
COMMENT ON COLUMN findings.usage_weekly.blocked IS 'Requests that were refused, rounded down to a multiple of k.';
COMMENT ON COLUMN findings.usage_weekly.bytes_out IS 'Bytes from the clients; NULL where no log says.';
COMMENT ON COLUMN findings.usage_weekly.bytes_in IS 'Bytes to the clients; NULL where no log says.';

CREATE TABLE findings.adoption_weekly (
    week DATE, app VARCHAR, department VARCHAR, active_people INTEGER, regular_people INTEGER,
    covered_people INTEGER, headcount INTEGER, coverage DOUBLE, visible BOOLEAN, share DOUBLE,
    stage VARCHAR, since DATE, first_week DATE, peak_people INTEGER
);
COMMENT ON TABLE findings.adoption_weekly IS 'How far an app had spread in a department: a row for every week from its first active one to the last complete one, but those in which fewer than k people belong to the department.';
COMMENT ON COLUMN findings.adoption_weekly.week IS 'Monday of the week.';
COMMENT ON COLUMN findings.adoption_weekly.app IS 'Id of the app.';
COMMENT ON COLUMN findings.adoption_weekly.department IS 'Department of the people on each day.';
COMMENT ON COLUMN findings.adoption_weekly.active_people IS 'People with use that got through in this week; NULL for fewer than k, but 0 is 0.';
COMMENT ON COLUMN findings.adoption_weekly.regular_people IS 'People active in at least 2 of the last 4 visible weeks; NULL if the week is not visible, for fewer than k, and in a small department; rounded down to a multiple of k where the app was used in no more than 2 of these weeks.';
COMMENT ON COLUMN findings.adoption_weekly.covered_people IS 'People of the department seen in any log of the week, on any host.';
COMMENT ON COLUMN findings.adoption_weekly.headcount IS 'People of the department in this week; NULL if unknown.';
COMMENT ON COLUMN findings.adoption_weekly.coverage IS 'Covered people by headcount, 0 to 1; NULL if the headcount is unknown.';
COMMENT ON COLUMN findings.adoption_weekly.visible IS 'Whether enough was seen to say anything: of the department, and of those who used the app before a source fell silent.';
COMMENT ON COLUMN findings.adoption_weekly.share IS 'Regular by covered people, 0 to 1; NULL where either is.';
COMMENT ON COLUMN findings.adoption_weekly.stage IS 'none, trial, workgroup, division, stalled, abandoned or not visible.';
COMMENT ON COLUMN findings.adoption_weekly.since IS 'Week in which this stage began; weeks that are not visible do not end a stage.';
COMMENT ON COLUMN findings.adoption_weekly.first_week IS 'First week with an active person in this department.';
COMMENT ON COLUMN findings.adoption_weekly.peak_people IS 'Most regular people of any week so far; NULL for fewer than k.';

CREATE TABLE findings.adoption_company (
    week DATE, app VARCHAR, active_people INTEGER, regular_people INTEGER, covered_people INTEGER,
    share DOUBLE, departments_active INTEGER, departments_division INTEGER,
    departments_visible INTEGER, company_wide BOOLEAN, tipping_point DATE
);
COMMENT ON TABLE findings.adoption_company IS 'How far an app had spread across the company, by week. Departments add up; (unknown) counts only where no department is known.';
COMMENT ON COLUMN findings.adoption_company.week IS 'Monday of the week.';
COMMENT ON COLUMN findings.adoption_company.app IS 'Id of the app.';
COMMENT ON COLUMN findings.adoption_company.active_people IS 'Active people of the departments that tell how many: at least so many. NULL if none does.';
COMMENT ON COLUMN findings.adoption_company.regular_people IS 'Regular people of the visible departments that tell how many: at least so many. NULL if none does.';
COMMENT ON COLUMN findings.adoption_company.covered_people IS 'Covered people of all departments where the app would be seen but small ones, with the app or without.';
COMMENT ON COLUMN findings.adoption_company.share IS 'Regular by covered people, 0 to 1: at least so much; NULL where either is.';
COMMENT ON COLUMN findings.adoption_company.departments_active IS 'Departments with an active person.';
COMMENT ON COLUMN findings.adoption_company.departments_division IS 'Visible departments at division.';
COMMENT ON COLUMN findings.adoption_company.departments_visible IS 'Departments where the app would be seen in the week, with the app or without.';
COMMENT ON COLUMN findings.adoption_company.company_wide IS 'Division in half of the visible departments, or a share of 0.40; holds while no department is visible.';
COMMENT ON COLUMN findings.adoption_company.tipping_point IS 'First week at division anywhere or at workgroup in three departments; NULL before it.';

CREATE TABLE findings.coverage_weekly (
    week DATE, department VARCHAR, covered_people INTEGER, headcount INTEGER, coverage DOUBLE,
    visible BOOLEAN, basis VARCHAR
);
COMMENT ON TABLE findings.coverage_weekly IS 'How much of a department the logs see: a row for every department and complete week.';
COMMENT ON COLUMN findings.coverage_weekly.week IS 'Monday of the week.';
COMMENT ON COLUMN findings.coverage_weekly.department IS 'Department on each day.';
COMMENT ON COLUMN findings.coverage_weekly.covered_people IS 'People seen in any log of the week, on any host; NULL for fewer than k.';
COMMENT ON COLUMN findings.coverage_weekly.headcount IS 'People of the department in this week; NULL if unknown or below k.';
COMMENT ON COLUMN findings.coverage_weekly.coverage IS 'Covered people by headcount, 0 to 1; NULL if the headcount is unknown.';
COMMENT ON COLUMN findings.coverage_weekly.visible IS 'Coverage at or above the floor, with k people or more; where the headcount is unknown, so many seen, unless sources that fell silent hide more.';
COMMENT ON COLUMN findings.coverage_weekly.basis IS 'What stands for a person: person or address.';

CREATE TABLE findings.coverage_daily (
    day DATE, department VARCHAR, source VARCHAR, people INTEGER, expected_people INTEGER,
    headcount INTEGER, clients INTEGER, expected_clients INTEGER, hours INTEGER, requests BIGINT,
    unresolved_requests BIGINT, shared_requests BIGINT, unnamed_requests BIGINT,
    tunnel_requests BIGINT, bare_requests BIGINT
);
COMMENT ON TABLE findings.coverage_daily IS 'The ledger of coverage: what each source saw of each department of k people or more, by day. A day without any request has a row where the source had a habit: four such weekdays in six weeks.';
COMMENT ON COLUMN findings.coverage_daily.day IS 'Day in the time zone of the source.';
COMMENT ON COLUMN findings.coverage_daily.department IS 'Department on that day.';
COMMENT ON COLUMN findings.coverage_daily.source IS 'Name of the stream of logs.';
COMMENT ON COLUMN findings.coverage_daily.people IS 'People seen, on any host; like all counts here rounded down to a multiple of k, NULL for fewer, but 0 is 0.';
COMMENT ON COLUMN findings.coverage_daily.expected_people IS 'People to expect: the median of those among the last four such weekdays with data on which the source saw anybody of the department; NULL where it saw nobody.';
COMMENT ON COLUMN findings.coverage_daily.headcount IS 'People of the department in the week of the day; NULL if unknown.';
COMMENT ON COLUMN findings.coverage_daily.clients IS 'Users and addresses seen, those that count as no person included; somebody known counts once.';
COMMENT ON COLUMN findings.coverage_daily.expected_clients IS 'Clients to expect: the median of the last four such weekdays with data; NULL before the first.';
COMMENT ON COLUMN findings.coverage_daily.hours IS 'Hours of the day with a request, 0 to 24; NULL where an older Sundial read the logs, and for fewer than k users and addresses.';
COMMENT ON COLUMN findings.coverage_daily.requests IS 'Requests to any host; NULL for fewer than k users and addresses. A DNS answer is cached by the client, so of a source of kind dns this is a lower bound.';
COMMENT ON COLUMN findings.coverage_daily.unresolved_requests IS 'Of these, requests that no counted person of a department stands behind, shared addresses apart; NULL where they, or all others, are of fewer than k.';
COMMENT ON COLUMN findings.coverage_daily.shared_requests IS 'Of these, requests of addresses that many people share.';
COMMENT ON COLUMN findings.coverage_daily.unnamed_requests IS 'Of these, requests that name no host of the Internet but an address, an internal name or nothing; NULL where an older Sundial read the logs, and for fewer than k.';
COMMENT ON COLUMN findings.coverage_daily.tunnel_requests IS 'Requests of which the log shows only the CONNECT: the host, and nothing of what was done there; NULL where an older Sundial read the logs, and for fewer than k.';
COMMENT ON COLUMN findings.coverage_daily.bare_requests IS 'Requests that name nothing but an address; NULL where an older Sundial read the logs, and for fewer than k.';

CREATE TABLE findings.hidden_daily (
    day DATE, department VARCHAR, source VARCHAR, kind VARCHAR, operator VARCHAR,
    people INTEGER, requests BIGINT, blocked BIGINT
);
COMMENT ON TABLE findings.hidden_daily IS 'Contacts with what hides names from these logs: encrypted resolvers, relays and VPNs of rules/resolvers.toml. How much went through them nobody can tell.';
COMMENT ON COLUMN findings.hidden_daily.day IS 'Day in the time zone of the source.';
COMMENT ON COLUMN findings.hidden_daily.department IS 'Department on that day.';
COMMENT ON COLUMN findings.hidden_daily.source IS 'Name of the stream of logs.';
COMMENT ON COLUMN findings.hidden_daily.kind IS 'encrypted_dns, relay or vpn.';
COMMENT ON COLUMN findings.hidden_daily.operator IS 'Who runs it.';
COMMENT ON COLUMN findings.hidden_daily.people IS 'People or addresses behind the requests, rounded down to a multiple of k; NULL for fewer, and then the row tells nothing else. Estimated where the catalogue does not know the host.';
COMMENT ON COLUMN findings.hidden_daily.requests IS 'Requests, blocked ones included, rounded down to a multiple of k.';
COMMENT ON COLUMN findings.hidden_daily.blocked IS 'Requests that were refused, rounded down to a multiple of k.';

CREATE TABLE findings.identity_conflicts (
    day DATE, reason VARCHAR, addresses BIGINT, hours DOUBLE
);
COMMENT ON TABLE findings.identity_conflicts IS 'Addresses of which it cannot be said whose they were: what they did then is traffic of an address, and nobody''s use.';
COMMENT ON COLUMN findings.identity_conflicts.day IS 'Day on which it began; of many users or browsers, each day.';
COMMENT ON COLUMN findings.identity_conflicts.reason IS 'conflict: leases or log-ons give it to a few people at once; shared: to so many that the address is shared. users: logs name several users of the address on one day, so what others saw of it is nobody''s. many users, many browsers: so many at once that the address is shared.';
COMMENT ON COLUMN findings.identity_conflicts.addresses IS 'How many addresses, rounded down to a multiple of k; NULL for fewer.';
COMMENT ON COLUMN findings.identity_conflicts.hours IS 'For how long, all addresses together, in whole hours; NULL for many users or browsers, and for fewer than k addresses.';

CREATE TABLE findings.hosts (
    host VARCHAR, app VARCHAR, signal VARCHAR, evidence VARCHAR, tenant VARCHAR, rule VARCHAR,
    requests BIGINT, blocked BIGINT, first_seen DATE, last_seen DATE
);
COMMENT ON TABLE findings.hosts IS 'Hosts of apps that the logs have seen, one a row; spaces of customers only from k people on.';
COMMENT ON COLUMN findings.hosts.host IS 'Fully qualified name.';
COMMENT ON COLUMN findings.hosts.app IS 'Id of the app it belongs to.';
COMMENT ON COLUMN findings.hosts.signal IS 'How the host is used.';
COMMENT ON COLUMN findings.hosts.evidence IS 'use, machine or embedded.';
COMMENT ON COLUMN findings.hosts.tenant IS 'Customer''s own space named by the host; NULL if it names none.';
COMMENT ON COLUMN findings.hosts.rule IS 'Catalogue entry and suffix that say so.';
COMMENT ON COLUMN findings.hosts.requests IS 'Requests, blocked ones included, rounded down to a multiple of 20 k; NULL for less, and for fewer than k people.';
COMMENT ON COLUMN findings.hosts.blocked IS 'Requests that were refused.';
COMMENT ON COLUMN findings.hosts.first_seen IS 'Monday of the first week with a request.';
COMMENT ON COLUMN findings.hosts.last_seen IS 'Monday of the last week with a request.';

CREATE TABLE findings.finding_confidence (
    app VARCHAR, department VARCHAR, confidence DOUBLE, rule_kind VARCHAR, days_from INTEGER,
    kinds_agree BOOLEAN, sources VARCHAR[]
);
COMMENT ON TABLE findings.finding_confidence IS 'How sure it is that people of a department work with an app, by the four weeks up to its last use; rules/confidence.toml has the odds. A row for every finding that usage_weekly tells.';
COMMENT ON COLUMN findings.finding_confidence.app IS 'Id of the app.';
COMMENT ON COLUMN findings.finding_confidence.department IS 'Department of the people on each day.';
COMMENT ON COLUMN findings.finding_confidence.confidence IS 'Chance that somebody of it uses the app in two of four weeks, 0 to 1.';
COMMENT ON COLUMN findings.finding_confidence.rule_kind IS 'Rule behind the best host: exact (the entry names it), own (an entry of yours), suffix (below a named host), alias (a name of yours that stands for a vendor''s), guessed.';
COMMENT ON COLUMN findings.finding_confidence.days_from IS 'On how many days it was seen, in steps: 1, 2, 5 or 10 and more.';
COMMENT ON COLUMN findings.finding_confidence.kinds_agree IS 'Whether DNS and another kind of log both saw it.';
COMMENT ON COLUMN findings.finding_confidence.sources IS 'Sources that saw it.';

CREATE TABLE findings.finding_evidence (
    app VARCHAR, host VARCHAR, evidence VARCHAR, rule VARCHAR, rule_kind VARCHAR, source VARCHAR,
    path VARCHAR, first_line BIGINT, last_line BIGINT
);
COMMENT ON TABLE findings.finding_evidence IS 'Where the hosts of an app stand in the logs: the newest three files of each source. Files read by an older Sundial have no row.';
COMMENT ON COLUMN findings.finding_evidence.app IS 'Id of the app.';
COMMENT ON COLUMN findings.finding_evidence.host IS 'Fully qualified name.';
COMMENT ON COLUMN findings.finding_evidence.evidence IS 'use, machine or embedded.';
COMMENT ON COLUMN findings.finding_evidence.rule IS 'Catalogue entry and suffix that say so.';
COMMENT ON COLUMN findings.finding_evidence.rule_kind IS 'Kind of that rule, as in finding_confidence.';
COMMENT ON COLUMN findings.finding_evidence.source IS 'Stream of logs.';
COMMENT ON COLUMN findings.finding_evidence.path IS 'File, where it lay when it was read last.';
COMMENT ON COLUMN findings.finding_evidence.first_line IS 'First line in it that names the host, from 1; of a capture, the packet.';
COMMENT ON COLUMN findings.finding_evidence.last_line IS 'Last line in it that does.';

CREATE TABLE findings.tenants (
    app VARCHAR, tenant VARCHAR, department VARCHAR, people INTEGER, requests BIGINT,
    first_seen DATE, last_seen DATE
);
COMMENT ON TABLE findings.tenants IS 'Spaces of customers in an app, by department; no row for fewer than k people.';
COMMENT ON COLUMN findings.tenants.app IS 'Id of the app.';
COMMENT ON COLUMN findings.tenants.tenant IS 'Name of the space, as in its host.';
COMMENT ON COLUMN findings.tenants.department IS 'Department of the people on each day.';
COMMENT ON COLUMN findings.tenants.people IS 'People behind the requests, rounded down to a multiple of k.';
COMMENT ON COLUMN findings.tenants.requests IS 'Requests, blocked ones included, rounded down to a multiple of 20 k; NULL for less.';
COMMENT ON COLUMN findings.tenants.first_seen IS 'Monday of the first week with a request.';
COMMENT ON COLUMN findings.tenants.last_seen IS 'Monday of the last week with a request.';

CREATE TABLE findings.white_labels (
    host VARCHAR, target VARCHAR, source VARCHAR, first_seen DATE, last_seen DATE
);
COMMENT ON TABLE findings.white_labels IS 'Hosts under a customer''s own name whose answers lead to a name of the catalogue, by CNAME; none that fewer than k people asked for.';
COMMENT ON COLUMN findings.white_labels.host IS 'Name that was asked for; hosts tells its app.';
COMMENT ON COLUMN findings.white_labels.target IS 'First name of the catalogue that its answer led to, the last time it was seen.';
COMMENT ON COLUMN findings.white_labels.source IS 'Source whose log showed that.';
COMMENT ON COLUMN findings.white_labels.first_seen IS 'Monday of the first week with such an answer.';
COMMENT ON COLUMN findings.white_labels.last_seen IS 'Monday of the last week with such an answer.';

CREATE TABLE findings.app_overlap (app_a VARCHAR, app_b VARCHAR, people INTEGER);
COMMENT ON TABLE findings.app_overlap IS 'People who used both of two apps that share a category, in the last four complete weeks; no row for fewer than k.';
COMMENT ON COLUMN findings.app_overlap.app_a IS 'Id of one app, the earlier in the alphabet.';
COMMENT ON COLUMN findings.app_overlap.app_b IS 'Id of the other app.';
COMMENT ON COLUMN findings.app_overlap.people IS 'People active in both, rounded down to a multiple of k.';

CREATE TABLE findings.hosts_unknown (
    host VARCHAR, department VARCHAR, people INTEGER, requests BIGINT, blocked BIGINT,
    bytes_out BIGINT, bytes_in BIGINT, first_seen DATE, last_seen DATE, app VARCHAR,
    on_premises BOOLEAN
);
COMMENT ON TABLE findings.hosts_unknown IS 'Hosts that no app of the catalogue claims and k people or more ask for, by department.';
COMMENT ON COLUMN findings.hosts_unknown.host IS 'Name, shortened; *.example.com stands for many machine-made names.';
COMMENT ON COLUMN findings.hosts_unknown.department IS 'Department when the lines were read.';
COMMENT ON COLUMN findings.hosts_unknown.people IS 'People or addresses behind the requests, estimated from a sketch: near for tens, rough beyond a hundred, at least so many once days have expired, and rounded down to a multiple of k; NULL for fewer.';
COMMENT ON COLUMN findings.hosts_unknown.requests IS 'Requests, blocked ones included, rounded down to a multiple of 20 k; NULL for less, and for fewer than k people.';
COMMENT ON COLUMN findings.hosts_unknown.blocked IS 'Requests that were refused.';
COMMENT ON COLUMN findings.hosts_unknown.bytes_out IS 'Bytes from the clients; NULL where no log says.';
COMMENT ON COLUMN findings.hosts_unknown.bytes_in IS 'Bytes to the clients; NULL where no log says.';
COMMENT ON COLUMN findings.hosts_unknown.first_seen IS 'Monday of the first week with a request.';
COMMENT ON COLUMN findings.hosts_unknown.last_seen IS 'Monday of the last week with a request.';
COMMENT ON COLUMN findings.hosts_unknown.on_premises IS 'Whether it is a host of the company''s own.';
COMMENT ON COLUMN findings.hosts_unknown.app IS 'App that a newer catalogue says it is, with no persons known of this time; NULL if still unknown.';

CREATE TABLE findings.unknown_queue (
    domain VARCHAR, points INTEGER, why VARCHAR, hosts VARCHAR[], people INTEGER,
    departments VARCHAR[], requests BIGINT, blocked BIGINT, bytes_out BIGINT, bytes_in BIGINT,
    weeks INTEGER, first_seen DATE, last_seen DATE
);
COMMENT ON TABLE findings.unknown_queue IS 'Domains that the catalogue does not know and k people or more ask for, those that look most like a service first.';
COMMENT ON COLUMN findings.unknown_queue.domain IS 'Domain as somebody registered it.';
COMMENT ON COLUMN findings.unknown_queue.points IS 'How much it looks like a service that people work in; rules/queue.toml says what counts.';
COMMENT ON COLUMN findings.unknown_queue.why IS 'What the points are for, in words.';
COMMENT ON COLUMN findings.unknown_queue.hosts IS 'Hosts to sign in at or to work in, at most three.';
COMMENT ON COLUMN findings.unknown_queue.people IS 'People or addresses behind the requests, estimated, departments added up, rounded down to a multiple of k.';
COMMENT ON COLUMN findings.unknown_queue.departments IS 'Departments when the lines were read, most people first.';
COMMENT ON COLUMN findings.unknown_queue.requests IS 'Requests that its hosts tell of, blocked ones included.';
COMMENT ON COLUMN findings.unknown_queue.blocked IS 'Requests that were refused.';
COMMENT ON COLUMN findings.unknown_queue.bytes_out IS 'Bytes from the clients; NULL where no log says.';
COMMENT ON COLUMN findings.unknown_queue.bytes_in IS 'Bytes to the clients; NULL where no log says.';
COMMENT ON COLUMN findings.unknown_queue.weeks IS 'Weeks with a request.';
COMMENT ON COLUMN findings.unknown_queue.first_seen IS 'Monday of the first week with a request.';
COMMENT ON COLUMN findings.unknown_queue.last_seen IS 'Monday of the last week with a request.';

CREATE TABLE findings.changes (
    kind VARCHAR, week DATE, app VARCHAR, department VARCHAR, stage VARCHAR, people INTEGER,
    covered_people INTEGER, first_week DATE, weeks_since_first INTEGER
);
COMMENT ON TABLE findings.changes IS 'What is different from four complete weeks ago, at most one row for an app in a department.';
COMMENT ON COLUMN findings.changes.kind IS 'new, stage_up, stage_down, abandoned or company_wide.';
COMMENT ON COLUMN findings.changes.week IS 'Week of the change.';
COMMENT ON COLUMN findings.changes.app IS 'Id of the app.';
COMMENT ON COLUMN findings.changes.department IS 'Department; NULL for company_wide.';
COMMENT ON COLUMN findings.changes.stage IS 'Stage it has now; NULL for company_wide.';
COMMENT ON COLUMN findings.changes.people IS 'For new: most active people of any week. At trial: active people. Else regular people. NULL for fewer than k.';
COMMENT ON COLUMN findings.changes.covered_people IS 'Covered people of the last visible week.';
COMMENT ON COLUMN findings.changes.first_week IS 'First week with an active person.';
COMMENT ON COLUMN findings.changes.weeks_since_first IS 'Weeks from the first active week to the last complete one.';

CREATE TABLE findings.sources (
    source VARCHAR, formats VARCHAR[], kind VARCHAR, files INTEGER, lines BIGINT, events BIGINT,
    rejects BIGINT, first_seen TIMESTAMP, last_seen TIMESTAMP, has_user BOOLEAN,
    has_bytes BOOLEAN, has_client BOOLEAN, ahead_seconds BIGINT, retired DATE
);
COMMENT ON TABLE findings.sources IS 'Streams of logs, one a row.';
COMMENT ON COLUMN findings.sources.source IS 'Name of the stream.';
COMMENT ON COLUMN findings.sources.formats IS 'Formats its files were read with.';
COMMENT ON COLUMN findings.sources.kind IS 'dns, proxy, or mixed if it holds both; NULL while nothing was read.';
COMMENT ON COLUMN findings.sources.files IS 'Files, skipped ones included.';
COMMENT ON COLUMN findings.sources.lines IS 'Lines read.';
COMMENT ON COLUMN findings.sources.events IS 'Events found in them.';
COMMENT ON COLUMN findings.sources.rejects IS 'Lines that could not be read.';
COMMENT ON COLUMN findings.sources.first_seen IS 'Time of the first event.';
COMMENT ON COLUMN findings.sources.last_seen IS 'Time of the last event.';
COMMENT ON COLUMN findings.sources.has_user IS 'Whether any file names users.';
COMMENT ON COLUMN findings.sources.has_bytes IS 'Whether any file counts bytes.';
COMMENT ON COLUMN findings.sources.has_client IS 'Whether any file names client addresses.';
COMMENT ON COLUMN findings.sources.ahead_seconds IS 'By how much the newest event of a file is later than the file was written or read, at worst; above 0 the clock or the time zone is wrong. NULL while nothing was read.';

COMMENT ON COLUMN findings.sources.retired IS 'Day from which on the operator expects nothing of it; NULL while it should speak.';

CREATE TABLE findings.clock_skew (source VARCHAR, beside VARCHAR, seconds BIGINT, pairs BIGINT);
COMMENT ON TABLE findings.clock_skew IS 'By how much the clock of a resolver differs from that of a proxy that serves the same clients, where it can be told: a client asks for the address of a host just before it asks for the host.';
COMMENT ON COLUMN findings.clock_skew.source IS 'Source of kind dns.';
COMMENT ON COLUMN findings.clock_skew.beside IS 'Source of another kind.';
COMMENT ON COLUMN findings.clock_skew.seconds IS 'Median of how much later the first look-up of a day stands in the one than the first request in the other; above 0 the resolver is ahead.';
COMMENT ON COLUMN findings.clock_skew.pairs IS 'Days, clients and hosts that it was told from, in the last four weeks; at least 30, half of them within a minute of the median.';

CREATE TABLE findings.log_files (
    file_id INTEGER, source VARCHAR, path VARCHAR, format VARCHAR, lines BIGINT, events BIGINT,
    rejects BIGINT, bytes BIGINT, first_seen TIMESTAMP, last_seen TIMESTAMP, status VARCHAR,
    note VARCHAR, scanned_at TIMESTAMP, seconds DOUBLE
);
COMMENT ON TABLE findings.log_files IS 'Log files and what became of each.';
COMMENT ON COLUMN findings.log_files.file_id IS 'Number of the file in this store.';
COMMENT ON COLUMN findings.log_files.source IS 'Stream it belongs to.';
COMMENT ON COLUMN findings.log_files.path IS 'Where it lay when it was read last.';
COMMENT ON COLUMN findings.log_files.format IS 'Format it was read with; NULL if none fitted.';
COMMENT ON COLUMN findings.log_files.lines IS 'Lines read.';
COMMENT ON COLUMN findings.log_files.events IS 'Events found in them.';
COMMENT ON COLUMN findings.log_files.rejects IS 'Lines that could not be read.';
COMMENT ON COLUMN findings.log_files.bytes IS 'Size in bytes, as it lay there.';
COMMENT ON COLUMN findings.log_files.first_seen IS 'Time of the first event.';
COMMENT ON COLUMN findings.log_files.last_seen IS 'Time of the last event.';
COMMENT ON COLUMN findings.log_files.status IS 'read, truncated, skipped or open.';
COMMENT ON COLUMN findings.log_files.note IS 'What was unusual, for people.';
COMMENT ON COLUMN findings.log_files.scanned_at IS 'When it was read last.';
COMMENT ON COLUMN findings.log_files.seconds IS 'How long reading it took.';

CREATE TABLE findings.rejects (
    file_id INTEGER, path VARCHAR, source VARCHAR, reason VARCHAR, lines BIGINT,
    first_line BIGINT, sample VARCHAR
);
COMMENT ON TABLE findings.rejects IS 'Lines that were left out, by file and reason: they could not be read, or came when their week was kept as counts only.';
COMMENT ON COLUMN findings.rejects.file_id IS 'Number of the file in this store.';
COMMENT ON COLUMN findings.rejects.path IS 'Where the file lay.';
COMMENT ON COLUMN findings.rejects.source IS 'Stream it belongs to.';
COMMENT ON COLUMN findings.rejects.reason IS 'Why the lines were left out.';
COMMENT ON COLUMN findings.rejects.lines IS 'How many lines.';
COMMENT ON COLUMN findings.rejects.first_line IS 'Number of the first of them, from 1.';
COMMENT ON COLUMN findings.rejects.sample IS 'The first of them with its letters and digits masked; empty if it could be read.';

COMMIT;
