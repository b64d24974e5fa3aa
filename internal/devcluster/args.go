package devcluster

import (
	"fmt"
	"path/filepath"
	"strings"
)

// bufferPool of each server: a cluster of a dozen servers must fit on a laptop.
const bufferPool = 64 << 20

// args is the command line of a process, after the role's name. It must be understood by older and newer programs too (--bin).
func (d *directory) args(p *process) []string {
	s := d.state
	etcd := []string{"--etcd=" + strings.Join(s.endpoints(), ",")}
	if s.Prefix != "" {
		etcd = append(etcd, "--etcd-prefix="+s.Prefix)
	}
	switch p.Role {
	case RoleTopo:
		return []string{
			"--data-dir=" + filepath.Join(d.path, topoDir), fmt.Sprintf("--client-port=%d", p.Port), fmt.Sprintf("--peer-port=%d", p.SidePort),
		}
	case RoleControl:
		return append(etcd, fmt.Sprintf("--listen=127.0.0.1:%d", p.Port), "--name="+p.Name)
	case RoleGateway:
		return append(etcd, fmt.Sprintf("--listen=127.0.0.1:%d", p.Port), fmt.Sprintf("--http=127.0.0.1:%d", p.SidePort), "--cell="+p.Cell,
			"--credentials="+d.credentials())
	case RoleTablet:
		return append(etcd, "--alias="+p.Tablet, "--keyspace="+p.Keyspace, "--shard="+p.Shard, "--type="+p.Type, "--dir="+d.tabletDir(p.Tablet),
			fmt.Sprintf("--port=%d", p.Port), "--host=127.0.0.1", fmt.Sprintf("--server-port=%d", p.SidePort), "--server-binary="+s.Mysqld,
			fmt.Sprintf("--buffer-pool-bytes=%d", bufferPool), "--credentials="+d.credentials())
	}
	panic("no such role: " + p.Role)
}
