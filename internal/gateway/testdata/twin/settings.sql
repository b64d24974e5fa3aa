SET NAMES latin1
SELECT @@character_set_client, @@character_set_connection, @@character_set_results
SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci
SELECT @@collation_connection
SET CHARACTER SET latin1
SELECT @@character_set_client, @@character_set_results
SET NAMES utf8mb4
SET NAMES nosuch
SET sql_mode = 'ANSI_QUOTES'
SELECT "a"
SELECT 'a' AS "b"
SET sql_mode = ''
SELECT "a"
SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'
SELECT 'a\b'
SET sql_mode = DEFAULT
SET @@session.sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT')
SELECT 'a' || 'b'
SET sql_mode = 'NONSENSE'
SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO'
SELECT @@sql_mode
SET SQL_MODE=@OLD_SQL_MODE
SET sql_mode = DEFAULT
/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */
/*!40101 SET NAMES latin1 */
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */
/*!40103 SET TIME_ZONE='+00:00' */
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */
SELECT @@time_zone, @@unique_checks, @@foreign_key_checks, @@sql_notes
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */
SELECT @@time_zone, @@unique_checks, @@foreign_key_checks, @@sql_notes, @@character_set_client, @@collation_connection
SET time_zone = '+02:00', @z = 1
SELECT @@time_zone, @z
SET time_zone = 'Nowhere/Land'
SELECT @@time_zone
BEGIN
SELECT 1
SET time_zone = '+03:00'
SELECT @@time_zone
SET time_zone = DEFAULT
SELECT @@time_zone
COMMIT
SELECT @@time_zone
SET nosuchvariable = 1
SET autocommit = 2
SET autocommit = 'x'
SET autocommit = OFF
SELECT @@autocommit
SET autocommit = ON
SET @@session.autocommit = 0
SET SESSION autocommit = DEFAULT
SELECT @@autocommit
SET max_execution_time = 1000
SET wait_timeout = 100, net_write_timeout = 200
SELECT @@wait_timeout, @@net_write_timeout
SET LOCAL wait_timeout = DEFAULT
SET character_set_results = NULL
SELECT @@character_set_results
SET character_set_results = utf8mb4
SET sql_select_limit = 1
SELECT 1 UNION SELECT 2
SET sql_select_limit = DEFAULT
SET timestamp = 1000000000
SELECT NOW() > '2002-01-01', UNIX_TIMESTAMP()
SET timestamp = DEFAULT
SELECT UNIX_TIMESTAMP() > 1000000000
@reset
SELECT @z, @@time_zone, @@autocommit
PREPARE p FROM 'SELECT ? + 1 AS r, ? AS s'
SET @i = 41, @t = 'text'
EXECUTE p USING @i, @t
EXECUTE p USING @i
EXECUTE nosuch
DEALLOCATE PREPARE p
EXECUTE p USING @i, @t
DROP PREPARE p
SET @q = 'SELECT 1 AS one'
PREPARE q FROM @q
EXECUTE q
PREPARE bad FROM 'SELECT FROM'
PREPARE q FROM 'SELECT 2 AS two'
EXECUTE q
@mariadb EXECUTE IMMEDIATE 'SELECT 3 AS three'
@mariadb SET STATEMENT max_statement_time = 10 FOR SELECT 1
KILL 4294967000
KILL QUERY 4294967000
@loose SHOW PROCESSLIST
SHOW DATABASES LIKE 'mai%'
SHOW TABLES LIKE 'nosuch%'
SHOW VARIABLES LIKE 'autocommit'
@loose SHOW STATUS LIKE 'Uptime'
SHOW COLLATION LIKE 'utf8mb4_general_ci'
SHOW ENGINES LIKE 'nosuch'
CREATE TABLE st (id int PRIMARY KEY, v text)
SHOW CREATE TABLE st
SHOW COLUMNS FROM st
SHOW INDEX FROM st WHERE Key_name = 'x'
DESCRIBE st
EXPLAIN SELECT * FROM st WHERE id = 1
SHOW TABLES
SHOW FULL TABLES
DROP TABLE st
