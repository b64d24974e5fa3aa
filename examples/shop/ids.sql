CREATE TABLE customer_seq (id BIGINT NOT NULL PRIMARY KEY, next_id BIGINT NOT NULL, cache BIGINT NOT NULL) COMMENT 'vitess_sequence';
CREATE TABLE orders_seq (id BIGINT NOT NULL PRIMARY KEY, next_id BIGINT NOT NULL, cache BIGINT NOT NULL) COMMENT 'vitess_sequence';
INSERT INTO customer_seq (id, next_id, cache) VALUES (0, 5001, 100);
INSERT INTO orders_seq (id, next_id, cache) VALUES (0, 25001, 100);
