// Package client is a MySQL client for Pelorus' own needs: agents and controllers
// that manage servers, the gateway's connections to them, copying and verifying.
// It logs in by every plugin of MySQL 8.0 to 9.x and MariaDB 10.6 and later, streams
// results row by row, and gives its wire.Conn to those who forward bytes themselves.
//
// It refuses to pool, to retry, to reconnect, to convert values to Go types (they
// are the server's text), and to guess after an error: a connection that failed in
// the middle of an exchange is Broken and can only be closed. A context that ends
// closes the connection, since the protocol has no other way to stop an answer.
package client
