"""What people write with simple-salesforce: ``use_simple_salesforce.py URL TOKEN DATABASE [FILE OF IDS]``.

Every field of every contact by ``query_all_iter``, or of those with some ids in lists of 400, into
a table of texts with psycopg2.
"""

import json
import sys
from pathlib import Path

import psycopg2
from psycopg2.extras import execute_values
from simple_salesforce import Salesforce

url, token, database, *ids = sys.argv[1:]
salesforce = Salesforce(instance_url="https://127.0.0.1", session_id=token, version="59.0")
salesforce.base_url = f"{url}/services/data/v59.0/"
salesforce.session.trust_env = False
# Its pages are asked for by host; https is forced, and the port lost.
salesforce.sf_instance = url.removeprefix("http://")
_call = salesforce._call_salesforce
salesforce._call_salesforce = lambda method, address, **more: _call(
    method, address.replace("https://", "http://"), **more
)

Contact = salesforce.restful("sobjects/Contact/describe")
fields = [f["name"] for f in Contact["fields"] if f["type"] not in ("address", "location")]
soql = f"SELECT {', '.join(fields)} FROM Contact"


def records():
    if not ids:
        yield from salesforce.query_all_iter(soql)
        return
    wanted = json.loads(Path(ids[0]).read_text())
    for start in range(0, len(wanted), 400):
        id_list = ",".join(f"'{id_}'" for id_ in wanted[start : start + 400])
        yield from salesforce.query_all_iter(f"{soql} WHERE Id IN ({id_list})")


def values(record):
    return [v.replace("\0", "") if isinstance(v, str) else v for v in map(record.get, fields)]


connection = psycopg2.connect(database)
with connection, connection.cursor() as cursor:
    columns = ", ".join(f'"{name}" text' for name in fields)
    cursor.execute(f'CREATE TABLE contact ({columns}, UNIQUE ("Id"))')
    names = ", ".join(f'"{name}"' for name in fields)
    sets = ", ".join(f'"{name}" = excluded."{name}"' for name in fields)
    count = 0
    waiting = []

    def write():
        execute_values(
            cursor,
            f'INSERT INTO contact ({names}) VALUES %s ON CONFLICT ("Id") DO UPDATE SET {sets}',
            waiting,
            page_size=1000,
        )
        waiting.clear()

    for record in records():
        waiting.append(values(record))
        count += 1
        if len(waiting) == 1000:
            write()
    if waiting:
        write()
connection.close()
print(count)
