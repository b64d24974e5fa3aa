package budget

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
)

const wait = 10 * time.Second

func mustClaim(t *testing.T, a *Account, n int) {
	t.Helper()
	if err := a.Claim(n); err != nil {
		t.Fatalf("claim %d: %v", n, err)
	}
}

// later claims in a goroutine of its own.
func later(a *Account, n int) <-chan error {
	done := make(chan error, 1)
	go func() { done <- a.Claim(n) }()
	return done
}

func wantRefused(t *testing.T, err error) {
	t.Helper()
	if !errcode.Has(err, errcode.MemoryLimit) {
		t.Errorf("got %v, want the error of the memory limit", err)
	}
}

// waits says whether the claim is not answered yet when all goroutines have come to a halt.
func waits(done <-chan error) bool {
	synctest.Wait()
	return len(done) == 0
}

func TestClaimWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100, wait)
		x, y := b.Account(), b.Account()
		mustClaim(t, &x, 60)
		done := later(&y, 20)
		if !waits(done) {
			t.Fatal("80 of 100 bytes are taken by accounts that held nothing: a quarter is not for them")
		}
		x.Release(10)
		if err := <-done; err != nil {
			t.Errorf("with room: %v", err)
		}
		if x.Close(); y.Held() != 20 {
			t.Errorf("held %d, want 20", y.Held())
		}
		y.Close()
		if st := b.Stats(); st.Used != 0 || st.Waiting != 0 || st.Waits != 1 || st.Refused != 0 {
			t.Errorf("at the end %+v", st)
		}
	})
}

func TestClaimIsRefusedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100, wait)
		x, y, z := b.Account(), b.Account(), b.Account()
		mustClaim(t, &x, 70)
		began := time.Now()
		big := later(&y, 50)
		if !waits(big) {
			t.Fatal("120 of 100 bytes were given")
		}
		<-time.After(time.Second) // so that the second claim's time is not up with the first one's
		small := later(&z, 4)
		if !waits(small) {
			t.Fatal("a claim did not wait for the one before it")
		}
		wantRefused(t, <-big)
		if took := time.Since(began); took != wait {
			t.Errorf("refused after %v, want %v", took, wait)
		}
		if err := <-small; err != nil {
			t.Errorf("the claim behind a refused one: %v", err)
		}
		wantRefused(t, x.Claim(31))
		if y.Held() != 0 {
			t.Errorf("a refused claim holds %d bytes", y.Held())
		}
	})
}

func TestHoldersComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100, wait)
		holder, other, next := b.Account(), b.Account(), b.Account()
		mustClaim(t, &holder, 35)
		mustClaim(t, &other, 35)
		newcomer := later(&next, 30)
		if !waits(newcomer) {
			t.Fatal("a newcomer got bytes of the last quarter")
		}
		mustClaim(t, &holder, 25) // from the last quarter, past the newcomer
		more := later(&other, 10)
		if !waits(more) {
			t.Fatal("105 of 100 bytes were given")
		}
		holder.Close()
		if err := <-more; err != nil {
			t.Errorf("a holder's claim: %v", err)
		}
		if err := <-newcomer; err != nil {
			t.Errorf("the newcomer's claim: %v", err)
		}
	})
}

func TestGrowDoesNotWait(t *testing.T) {
	b := New(100, wait)
	x, y := b.Account(), b.Account()
	mustClaim(t, &x, 75)
	if err := y.Grow(25); err != nil {
		t.Errorf("free bytes: %v", err)
	}
	wantRefused(t, y.Grow(1))
	x.Release(75)
	if err := y.Grow(75); err != nil {
		t.Errorf("bytes given back: %v", err)
	}
}

func TestLargeClaimAlone(t *testing.T) {
	b := New(100, wait)
	x := b.Account()
	mustClaim(t, &x, 100)
	x.Close()
	wantRefused(t, x.Claim(101))
}

func TestZeroAccount(t *testing.T) {
	var a Account
	if err := a.Claim(1 << 40); err != nil {
		t.Error(err)
	}
	if err := a.Grow(1); err != nil {
		t.Error(err)
	}
	a.Release(1)
	a.Close()
}
