# Values that a vindex cannot map, or that the server converts before it compares.
CREATE TABLE orders (id int, customer_id bigint NOT NULL, note varchar(20))
INSERT INTO orders (id, customer_id, note) VALUES (1, 1, 'a'), (2, 4, 'b'), (3, -1, 'c'), (4, 0, 'zero'), (5, 7, 'seven'), (6, 9223372036854775807, 'max')
@bag SELECT id FROM orders WHERE customer_id = 1
@bag SELECT id FROM orders WHERE customer_id = '1'
@bag SELECT id FROM orders WHERE customer_id = '1abc'
@bag SELECT id FROM orders WHERE customer_id = 'abc'
@bag SELECT id FROM orders WHERE customer_id = ''
@bag SELECT id FROM orders WHERE customer_id = ' 4'
@bag SELECT id FROM orders WHERE customer_id = '4 '
@bag SELECT id FROM orders WHERE customer_id = '+4'
@bag SELECT id FROM orders WHERE customer_id = '4.0'
@bag SELECT id FROM orders WHERE customer_id = '04'
@bag SELECT id FROM orders WHERE customer_id = 4.0
@bag SELECT id FROM orders WHERE customer_id = 4.5
@bag SELECT id FROM orders WHERE customer_id = 4e0
@bag SELECT id FROM orders WHERE customer_id = 0x4
@bag SELECT id FROM orders WHERE customer_id = x'04'
@bag SELECT id FROM orders WHERE customer_id = 0x34
@bag SELECT id FROM orders WHERE customer_id = b'100'
@bag SELECT id FROM orders WHERE customer_id = TRUE
@bag SELECT id FROM orders WHERE customer_id = FALSE
@bag SELECT id FROM orders WHERE customer_id = NULL
@bag SELECT id FROM orders WHERE customer_id <=> NULL
@bag SELECT id FROM orders WHERE customer_id IS NULL
@bag SELECT id FROM orders WHERE customer_id = -1
@bag SELECT id FROM orders WHERE customer_id = '-1'
@bag SELECT id FROM orders WHERE customer_id = -1.0
@bag SELECT id FROM orders WHERE customer_id = - 1
@bag SELECT id FROM orders WHERE customer_id = +4
@bag SELECT id FROM orders WHERE customer_id = -0
@bag SELECT id FROM orders WHERE customer_id = 18446744073709551615
@bag SELECT id FROM orders WHERE customer_id = 9223372036854775807
@bag SELECT id FROM orders WHERE customer_id = 9223372036854775808
@bag SELECT id FROM orders WHERE customer_id = 99999999999999999999999999
@bag SELECT id FROM orders WHERE customer_id = -99999999999999999999999999
@bag SELECT id FROM orders WHERE customer_id = '99999999999999999999999999'
@bag SELECT id FROM orders WHERE customer_id = 1e400
@bag SELECT id FROM orders WHERE customer_id = 0xffffffffffffffff
@bag SELECT id FROM orders WHERE customer_id = 0xffffffffffffffffffff
@bag SELECT id FROM orders WHERE customer_id = 'é😀'
@bag SELECT id FROM orders WHERE customer_id = DATE '2020-01-01'
@bag SELECT id FROM orders WHERE customer_id = 3 + 1
@bag SELECT id FROM orders WHERE customer_id IN (1, '4', 'abc', NULL, 4.5)
@bag SELECT id FROM orders WHERE customer_id IN (1, 4)
@bag SELECT id FROM orders WHERE customer_id IN ('1x', 7)
@bag SELECT id FROM orders WHERE customer_id IN (NULL)
@bag SELECT id FROM orders WHERE customer_id IN (NULL, NULL)
@bag SELECT id FROM orders WHERE customer_id IN (-1, -2)
@bag SELECT id FROM orders WHERE customer_id NOT IN (1, 4)
@bag SELECT id FROM orders WHERE (customer_id, id) IN ((1, 1), (4, 2))
@bag SELECT id FROM orders WHERE (customer_id, id) = (1, 1)
@bag SELECT id FROM orders WHERE customer_id = 1 AND customer_id = 4
@bag SELECT id FROM orders WHERE customer_id = 1 OR customer_id = 4
@bag SELECT id FROM orders WHERE NOT customer_id = 1
@bag SELECT id FROM orders WHERE customer_id = 1 AND customer_id IN (4, 7)
@bag SELECT id FROM orders WHERE customer_id BETWEEN 1 AND 4
@bag SELECT id FROM orders WHERE customer_id LIKE '4%'
@bag SELECT id FROM orders WHERE customer_id = (SELECT 1)
@bag SELECT id FROM orders WHERE 1 = customer_id
@bag SELECT id FROM orders WHERE customer_id = id
@bag SELECT id FROM orders WHERE customer_id = 1 XOR id = 2
@bag SELECT id FROM orders WHERE customer_id = 1 IS TRUE
@bag SELECT id FROM orders WHERE customer_id = 4 = 1
@bag SELECT id FROM orders WHERE (customer_id = 4) = 0
SELECT COUNT(*) FROM orders WHERE customer_id = 'abc'
SELECT COUNT(*), SUM(id) FROM orders WHERE customer_id = NULL
SELECT COUNT(*) FROM orders WHERE customer_id = '4x'
SELECT MAX(note) FROM orders WHERE customer_id = 99999999999999999999999999
UPDATE orders SET note = 'u1' WHERE customer_id = '4'
UPDATE orders SET note = 'u2' WHERE customer_id = 4.0
UPDATE orders SET note = 'u3' WHERE customer_id = NULL
UPDATE orders SET note = 'u4' WHERE customer_id = 0x4
@loose UPDATE orders SET note = 'u5' WHERE customer_id = 'abc'
UPDATE orders SET note = 'u6' WHERE customer_id = 4.5
UPDATE orders SET note = 'u7' WHERE customer_id = 99999999999999999999999999
UPDATE orders SET note = 'u8' WHERE customer_id IN (1, '7', NULL, 4.0)
UPDATE orders SET note = 'u9' WHERE customer_id = -1
DELETE FROM orders WHERE customer_id = NULL
DELETE FROM orders WHERE customer_id = 1e40
DELETE FROM orders WHERE customer_id = -1
@loose DELETE FROM orders WHERE customer_id = 'abc'
DELETE FROM orders WHERE customer_id IN ('4', 99999999999999999999999999)
@bag SELECT * FROM orders
INSERT INTO orders (id, customer_id) VALUES (10, '12')
INSERT INTO orders (id, customer_id) VALUES (11, 12.0)
INSERT INTO orders (id, customer_id) VALUES (12, 0x0c)
INSERT INTO orders (id, customer_id) VALUES (13, TRUE), (14, 3+4), (15, -5)
INSERT INTO orders (id, customer_id) VALUES (16, ABS(-12))
INSERT INTO orders (id, customer_id) VALUES (17, 12.4)
INSERT INTO orders SET id = 18, customer_id = '0012'
@bag SELECT id, customer_id FROM orders WHERE customer_id = 12
@bag SELECT id, customer_id FROM orders WHERE customer_id = 7
@bag SELECT id, customer_id FROM orders WHERE customer_id = -5
@exec SELECT id FROM orders WHERE customer_id = -5
@loose INSERT INTO orders (id, customer_id) VALUES (20, 'abc')
@loose INSERT INTO orders (id, customer_id) VALUES (20, 99999999999999999999999999)
INSERT INTO orders (id, customer_id) VALUES (20, NULL)
INSERT INTO orders (id) VALUES (20)
DROP TABLE orders
CREATE TABLE item (k int, v int)
INSERT INTO item (k, v) VALUES (1, 1), (2, 2), ('3', 3), (-4, 4), (2 + 3, 5), (0, 0)
INSERT INTO item VALUES (6, 6)
INSERT INTO item () VALUES (7, 7)
INSERT INTO item SET k = 8, v = k
@bag SELECT v FROM item WHERE k = 1
@bag SELECT v FROM item WHERE k = 1.0
@bag SELECT v FROM item WHERE k = 2e0
@bag SELECT v FROM item WHERE k = 3
@bag SELECT v FROM item WHERE k = -4
@bag SELECT v FROM item WHERE k = -4.0
@bag SELECT v FROM item WHERE k = '5'
@bag SELECT v FROM item WHERE k IN (1, 2.0, '3')
@bag SELECT v FROM item WHERE k = TRUE
@bag SELECT v FROM item WHERE k = FALSE
@bag SELECT v FROM item WHERE k = 1.5
@bag SELECT v FROM item WHERE k = NULL
@bag SELECT v FROM item WHERE k IS NULL
@bag SELECT * FROM item
SELECT COUNT(*), SUM(v) FROM item WHERE k = 2.0
UPDATE item SET v = 10 WHERE k = 1.0
DELETE FROM item WHERE k = 3.0
SELECT * FROM item ORDER BY k
DROP TABLE item
CREATE TABLE raw (k varbinary(20), v int)
INSERT INTO raw (k, v) VALUES ('a', 1), (x'00ff', 2), (0x8000, 3), ('', 4), (_binary 'q', 5), (b'1100001', 6)
@bag SELECT v FROM raw WHERE k = 'a'
@bag SELECT v FROM raw WHERE k = x'00ff'
@bag SELECT v FROM raw WHERE k = 0x8000
@bag SELECT v FROM raw WHERE k = ''
@bag SELECT v FROM raw WHERE k = _binary 'q'
@bag SELECT v FROM raw WHERE k = b'1100001'
@bag SELECT v FROM raw WHERE k IN ('a', x'8000')
@bag SELECT v FROM raw WHERE k = 'A'
DROP TABLE raw
CREATE TABLE word (k varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci, v int)
INSERT INTO word (k, v) VALUES ('Straße', 1), ('ÉTÉ', 2), ('a b', 3), ('', 4), ('😀', 5), ('nul\0x', 6)
INSERT INTO word (k, v) VALUES (CONCAT('o', 'ne'), 7), (UPPER('two'), 8)
@bag SELECT v FROM word WHERE k = 'STRASSE'
@bag SELECT v FROM word WHERE k = 'ete'
@bag SELECT v FROM word WHERE k = 'A B'
@bag SELECT v FROM word WHERE k = '  '
@bag SELECT v FROM word WHERE k = 'ONE  '
@bag SELECT v FROM word WHERE k = 'Two'
@bag SELECT v FROM word WHERE k IN ('one', 'été', 'x')
@bag SELECT v FROM word WHERE k = x'74776F'
SELECT COUNT(*) FROM word WHERE k = CONCAT('o', 'ne')
UPDATE word SET v = 20 WHERE k = 'été'
DELETE FROM word WHERE k = 'TWO'
@bag SELECT * FROM word
DROP TABLE word
