-- Who was behind an address on a day, where nothing better was known when its events were read. Leaves the views
-- met and used, through which usage.sql reads presence and usage.

-- What a resolver or a firewall saw of an address counts for the one user whom a proxy saw there on the
-- same day. It is the weakest evidence: events that a lease or a log-on explains name their user already,
-- and where claims or users are at odds, or many share the address, it stays an address.
CREATE OR REPLACE TEMP TABLE told_user AS
WITH named AS (
    SELECT day, address_id, actor_id, hours, coalesce(CAST(person_id AS VARCHAR), name) AS who
    FROM sighting JOIN actor USING (actor_id) JOIN spelled USING (key)
    SEMI JOIN (SELECT DISTINCT day, actor_id AS address_id FROM presence) USING (day, address_id)
),
disputed AS (
    SELECT actor_id AS address_id, CAST(since AS DATE) AS first_day, CAST(until AS DATE) AS last_day
    FROM conflict JOIN actor ON actor.key = conflict.address
)
SELECT
    day, address_id, min(named.actor_id) AS actor_id, bit_or(hours) AS hours,
    min(who) = max(who) AS alone
FROM named
LEFT JOIN membership
    ON membership.actor_id = named.address_id AND unit = 'shared' AND day >= valid_from AND day < valid_to
LEFT JOIN disputed USING (address_id)
GROUP BY day, address_id
HAVING count(unit) = 0 AND NOT coalesce(bool_or(day BETWEEN first_day AND last_day), false);

CREATE OR REPLACE TEMP TABLE behind AS
SELECT day, address_id, actor_id FROM told_user WHERE alone;

-- A look-up of what a proxy then refused is no use: of an app that it refused to the user all day, the address
-- keeps what others saw.
CREATE OR REPLACE TEMP TABLE refused AS
WITH denied AS (
    SELECT DISTINCT day, actor_id, app FROM usage JOIN host USING (host_id) WHERE blocked > 0
),
app_day AS (
    SELECT sighting.day, sighting.address_id, denied.app, sum(requests) = sum(blocked) AS always
    FROM behind
    JOIN (SELECT DISTINCT day, actor_id, address_id FROM sighting) AS sighting USING (day, address_id)
    JOIN denied ON denied.day = sighting.day AND denied.actor_id = sighting.actor_id
    JOIN usage ON usage.day = sighting.day AND usage.actor_id = sighting.actor_id
    JOIN host ON host.host_id = usage.host_id AND host.app = denied.app
    GROUP BY ALL
)
SELECT day, address_id, host_id FROM app_day JOIN host USING (app) WHERE always;

CREATE OR REPLACE TEMP VIEW met AS
SELECT presence.* REPLACE (coalesce(behind.actor_id, presence.actor_id) AS actor_id)
FROM presence LEFT JOIN behind ON behind.day = presence.day AND behind.address_id = presence.actor_id;

CREATE OR REPLACE TEMP VIEW used AS
SELECT usage.* REPLACE (
    CASE WHEN refused.host_id IS NULL THEN coalesce(behind.actor_id, usage.actor_id)
        ELSE usage.actor_id END AS actor_id
)
FROM usage
LEFT JOIN behind ON behind.day = usage.day AND behind.address_id = usage.actor_id
LEFT JOIN refused ON refused.day = usage.day AND refused.address_id = usage.actor_id
    AND refused.host_id = usage.host_id;
