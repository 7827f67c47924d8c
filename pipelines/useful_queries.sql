-- Questions that the tables answer, in SQL that PostgreSQL and DuckDB both understand.
-- First say where the tables are:  PostgreSQL  SET search_path TO salesforce;
--                                  DuckDB      USE targeted_contacts.salesforce;
-- (after --demo the dataset is salesforce_demo). Every column is Salesforce's, in snake_case.
-- Those with a LIMIT are about the thousand whom sales works with most, and go by the indexes
-- however many are held. Without it they are about all, and read whole tables.

-- 1. Whom does sales work with today, the most worked with first?
SELECT c.id, c.name, c.title, c.email, a.relation_count
FROM (
    SELECT contact_id, relation_count FROM sf_active_contacts
    WHERE is_active ORDER BY relation_count DESC, contact_id LIMIT 1000
) AS a
JOIN sf_contacts AS c ON c.id = a.contact_id
ORDER BY a.relation_count DESC, c.id;

-- 2. At which accounts are they? (A contact without an account is one of its own.)
SELECT COALESCE(c.account_id, 'no account') AS account, COUNT(*) AS active_contacts
FROM (
    SELECT contact_id, relation_count FROM sf_active_contacts
    WHERE is_active ORDER BY relation_count DESC, contact_id LIMIT 1000
) AS a
JOIN sf_contacts AS c ON c.id = a.contact_id
GROUP BY 1
ORDER BY active_contacts DESC, account;

-- 3. When was each of them last worked with, on what, and by whom?
SELECT a.contact_id, done.last_on, done.subject, u.name AS worked_by
FROM (
    SELECT contact_id, relation_count FROM sf_active_contacts
    WHERE is_active ORDER BY relation_count DESC, contact_id LIMIT 1000
) AS a
CROSS JOIN LATERAL (
    SELECT t.activity_date AS last_on, t.subject, t.owner_id
    FROM sf_taskwhorelations AS r
    JOIN sf_activities AS t ON t.id = r.task_id
    WHERE r.relation_id = a.contact_id AND r.removed_at IS NULL
        AND t.is_closed AND t.activity_date IS NOT NULL
    ORDER BY t.activity_date DESC, t.id DESC LIMIT 1
) AS done
LEFT JOIN sf_users AS u ON u.id = done.owner_id
ORDER BY done.last_on DESC, a.contact_id;

-- 4. Who is going cold: active, but with nothing done in 90 days and nothing planned?
SELECT c.id, c.name, MAX(t.activity_date) AS last_on
FROM (
    SELECT contact_id, relation_count FROM sf_active_contacts
    WHERE is_active ORDER BY relation_count DESC, contact_id LIMIT 1000
) AS a
JOIN sf_contacts AS c ON c.id = a.contact_id
JOIN sf_taskwhorelations AS r ON r.relation_id = a.contact_id AND r.removed_at IS NULL
JOIN sf_activities AS t ON t.id = r.task_id
GROUP BY c.id, c.name
HAVING MAX(t.activity_date) < CURRENT_DATE - 90
    AND COUNT(*) FILTER (WHERE NOT t.is_closed) = 0
ORDER BY last_on, c.id;

-- 5. How many tasks with them fell due in each month, and how many of those are done?
SELECT
    CAST(DATE_TRUNC('month', t.activity_date) AS DATE) AS due_month,
    COUNT(DISTINCT t.id) AS tasks,
    COUNT(DISTINCT t.id) FILTER (WHERE t.is_closed) AS done
FROM (
    SELECT contact_id, relation_count FROM sf_active_contacts
    WHERE is_active ORDER BY relation_count DESC, contact_id LIMIT 1000
) AS a
JOIN sf_taskwhorelations AS r ON r.relation_id = a.contact_id AND r.removed_at IS NULL
JOIN sf_activities AS t ON t.id = r.task_id
WHERE t.activity_date IS NOT NULL
GROUP BY 1
ORDER BY due_month;

-- 6. How many of them does each user work with, and in how many tasks?
SELECT
    u.name, COUNT(DISTINCT r.relation_id) AS active_contacts, COUNT(DISTINCT t.id) AS tasks
FROM (
    SELECT contact_id, relation_count FROM sf_active_contacts
    WHERE is_active ORDER BY relation_count DESC, contact_id LIMIT 1000
) AS a
JOIN sf_taskwhorelations AS r ON r.relation_id = a.contact_id AND r.removed_at IS NULL
JOIN sf_activities AS t ON t.id = r.task_id
JOIN sf_users AS u ON u.id = t.owner_id
GROUP BY u.id, u.name
ORDER BY active_contacts DESC, u.name;

-- 7. Which tasks with them were with several people at once? (Leads are counted too.)
SELECT t.id, t.subject, t.activity_date, COUNT(DISTINCT people.id) AS people
FROM (
    SELECT contact_id, relation_count FROM sf_active_contacts
    WHERE is_active ORDER BY relation_count DESC, contact_id LIMIT 1000
) AS a
JOIN sf_taskwhorelations AS r ON r.relation_id = a.contact_id AND r.removed_at IS NULL
JOIN sf_activities AS t ON t.id = r.task_id
JOIN sf_taskwhorelations AS people ON people.task_id = t.id AND people.removed_at IS NULL
GROUP BY t.id, t.subject, t.activity_date
HAVING COUNT(DISTINCT people.id) > 1
ORDER BY people DESC, t.id;

-- 8. Which of them can't be written to: no address, bounced, or opted out?
SELECT
    c.id,
    c.name,
    CASE
        WHEN c.email IS NULL THEN 'no email'
        WHEN c.is_email_bounced THEN 'bounced'
        ELSE 'opted out'
    END AS why
FROM (
    SELECT contact_id, relation_count FROM sf_active_contacts
    WHERE is_active ORDER BY relation_count DESC, contact_id LIMIT 1000
) AS a
JOIN sf_contacts AS c ON c.id = a.contact_id
WHERE c.email IS NULL OR c.is_email_bounced OR c.has_opted_out_of_email
ORDER BY why, c.id;

-- 9. Who is no longer worked with, or no longer there, since when and why?
SELECT
    a.contact_id,
    c.name AS last_known_name,
    COALESCE(a.gone_reason, a.left_reason) AS reason,
    a.merged_into,
    a.left_at
FROM sf_active_contacts AS a
LEFT JOIN sf_contacts AS c ON c.id = a.contact_id
WHERE NOT a.is_active OR a.gone_reason IS NOT NULL
ORDER BY a.left_at, a.contact_id;

-- 10. Which relations name a task that is not held? (It was deleted, or our user can't see it.)
SELECT r.id, r.relation_id, r.task_id, r.created_date
FROM sf_taskwhorelations AS r
LEFT JOIN sf_activities AS t ON t.id = r.task_id
WHERE r.removed_at IS NULL AND t.id IS NULL
ORDER BY r.id;

-- 11. Which values or records could not be loaded, and since when?
SELECT object, field, error, COUNT(*) AS records, MIN(first_seen_at) AS since
FROM sf_rejected_records
GROUP BY object, field, error
ORDER BY records DESC, object, field;

-- 12. How did the last runs go, and what did they cost?
SELECT
    started_at, status, mode, seconds, calls_total, contacts_new, contacts_updated,
    contacts_held, relations_held, warning_count, error
FROM sf_sync_runs
ORDER BY started_at DESC
LIMIT 20;

-- 13. How fresh is each table: what is the newest change in Salesforce that it holds?
SELECT 'sf_contacts' AS held_in, MAX(system_modstamp) AS newest FROM sf_contacts
UNION ALL
SELECT 'sf_taskwhorelations', MAX(system_modstamp) FROM sf_taskwhorelations
UNION ALL
SELECT 'sf_activities', MAX(system_modstamp) FROM sf_activities
UNION ALL
SELECT 'sf_users', MAX(system_modstamp) FROM sf_users
ORDER BY held_in;
