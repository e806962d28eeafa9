PRAGMA application_id = 1162761288;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE binding (
    nai TEXT NOT NULL, sub_nai TEXT NOT NULL, home_address INTEGER NOT NULL UNIQUE, care_of_address INTEGER NOT NULL,
    lifetime INTEGER NOT NULL, expires INTEGER, flags INTEGER NOT NULL, identification BLOB NOT NULL,
    direct INTEGER NOT NULL, revocation INTEGER, udp_remote INTEGER NOT NULL, udp_port INTEGER NOT NULL,
    supplied INTEGER NOT NULL, others TEXT NOT NULL,
    PRIMARY KEY (nai, sub_nai)) WITHOUT ROWID;
INSERT INTO "binding" VALUES('kleung@example.net','pc1',168427530,3405803778,600,1800000000000,2,X'FFFFFFFFFFFFFFFF',0,NULL,0,0,0,'');
INSERT INTO "binding" VALUES('kleung@example.net','pc2',168427531,3405803842,600,NULL,0,X'8000000000000000',1,NULL,0,0,0,'');
CREATE TABLE identification (
    nai TEXT NOT NULL, sub_nai TEXT NOT NULL, identification BLOB NOT NULL, nonce INTEGER,
    PRIMARY KEY (nai, sub_nai)) WITHOUT ROWID;
INSERT INTO "identification" VALUES('kleung@example.net','pc1',X'FFFFFFFFFFFFFFFF',NULL);
INSERT INTO "identification" VALUES('kleung@example.net','pc2',X'8000000000000000',NULL);
INSERT INTO "identification" VALUES('kleung@example.net','pc3',X'0000000000000007',NULL);
INSERT INTO "identification" VALUES('kleung@example.net','pc4',X'0000000000000009',NULL);
CREATE TABLE owner (
    address INTEGER PRIMARY KEY, nai TEXT NOT NULL, sub_nai TEXT NOT NULL, released INTEGER NOT NULL);
INSERT INTO "owner" VALUES(168427532,'kleung@example.net','pc3',1234);
CREATE TABLE renewals (number INTEGER PRIMARY KEY, records BLOB NOT NULL);
INSERT INTO "renewals" VALUES(1,X'0A0A000A012C000001A3185C5000FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF');
COMMIT;
