PRAGMA application_id = 1162761286;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE visitor (
    nai TEXT NOT NULL, sub_nai TEXT NOT NULL, home_address INTEGER PRIMARY KEY, home_agent INTEGER NOT NULL,
    care_of_address INTEGER NOT NULL, interface TEXT NOT NULL, link_address BLOB NOT NULL, lifetime INTEGER NOT NULL,
    expires INTEGER, flags INTEGER NOT NULL, revocation INTEGER, hands_in INTEGER NOT NULL);
INSERT INTO "visitor" VALUES('kleung@example.net','pc1',168427530,3221225985,3405803778,'vis0',X'020000000001',600,1800000000000,2,NULL,0);
COMMIT;
