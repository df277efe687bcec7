//! What every adapter of a port must do, as tests it runs against itself. An adapter crate's
//! tests call [`store::all`] and the like with a way to make a fresh adapter; the adapters that
//! ship to users are the only ones there are, so there are no fakes to drift from them.

/// Lists a suite's cases once, for two uses: all of them in turn, and one test for each.
macro_rules! suite {
    (($d:tt) $fresh:ty, $module:ident, $tests:ident: $($case:ident),* $(,)?) => {
        /// Runs every case on what `make` gives it: something empty, made for it alone. Says which
        /// case runs, so that one that fails is known by name.
        pub async fn all<F, Made>(make: F)
        where
            F: Fn() -> Made,
            Made: std::future::Future<Output = $fresh>,
        {
            $(
                eprintln!("case {}", stringify!($case));
                $case(make().await).await;
            )*
        }

        /// Makes a test of every case of this suite, by the case's name. Takes the path of an
        /// async function without arguments that gives what the cases run on, made for each alone.
        #[macro_export]
        macro_rules! $tests {
            ($d make:path) => {
                $(
                    #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        $d crate::contract::$module::$case($d make().await).await;
                    }
                )*
            };
        }
    };
}

pub mod bus;
pub mod cache;
pub mod limiter;
pub mod log;
pub mod outbox;
pub mod publisher;
pub mod sample;
pub mod store;
