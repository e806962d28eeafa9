PRAGMA application_id = 1162761286;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE visitor (
    nai TEXT NOT NULL, sub_nai TEXT NOT NULL, home_address INTEGER NOT NULL, home_agent INTEGER NOT NULL,
    care_of_address INTEGER NOT NULL, interface TEXT NOT NULL, link_address BLOB NOT NULL, lifetime INTEGER NOT NULL,
    expires INTEGER, flags INTEGER NOT NULL, PRIMARY KEY (nai, sub_nai)) WITHOUT ROWID
;
INSERT INTO "visitor" VALUES('kleung@example.net','pc1',168427530,3221225985,3405803778,'vis0',X'020000000001',600,1800000000000,2);
COMMIT;
