CREATE TABLE note_seq (id BIGINT NOT NULL PRIMARY KEY, next_id BIGINT NOT NULL, cache BIGINT NOT NULL) COMMENT 'vitess_sequence';
CREATE TABLE sbtest1_seq LIKE note_seq;
CREATE TABLE sbtest2_seq LIKE note_seq;
INSERT INTO note_seq (id, next_id, cache) VALUES (0, 1, 1000);
INSERT INTO sbtest1_seq (id, next_id, cache) VALUES (0, 1, 1000);
INSERT INTO sbtest2_seq (id, next_id, cache) VALUES (0, 1, 1000);
