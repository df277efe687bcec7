//! One path, one entry in the API document, and one way to be strict about what is sent to it.

use std::collections::HashMap;

use poem::EndpointExt;
use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem_openapi::OpenApi;
use poem_openapi::registry::{MetaApi, MetaPath, Registry};

use super::strict::Strict;

/// Operations that stand in files of their own but share paths. The framework writes a path once
/// for each file, and whoever reads the document then sees the last one only.
pub(super) struct Merged<T>(pub(super) T);

impl<T: OpenApi> OpenApi for Merged<T> {
    fn meta() -> Vec<MetaApi> {
        let mut paths: Vec<MetaPath> = Vec::new();
        for path in T::meta().into_iter().flat_map(|api| api.paths) {
            match paths.iter_mut().find(|known| known.path == path.path) {
                Some(known) => known.operations.extend(path.operations),
                None => paths.push(path),
            }
        }
        vec![MetaApi { paths }]
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn add_routes(self, routes: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {
        let paths: Vec<MetaPath> = T::meta().into_iter().flat_map(|api| api.paths).collect();
        let mut own = HashMap::new();
        self.0.add_routes(&mut own);
        for (route, methods) in own {
            for (method, endpoint) in methods {
                let described = paths
                    .iter()
                    .filter(|path| shape(&path.path) == shape(&route))
                    .flat_map(|path| &path.operations)
                    .find(|operation| operation.method == method)
                    .expect("the framework makes routes of what it describes");
                let strict = Strict::new(endpoint, described).boxed();
                routes
                    .entry(route.clone())
                    .or_default()
                    .insert(method, strict);
            }
        }
    }
}

/// A path with its parameters' names left out: the router calls them otherwise than the document.
fn shape(path: &str) -> Vec<&str> {
    path.split('/')
        .map(|part| match part.as_bytes().first() {
            Some(b':' | b'{') => ":",
            _ => part,
        })
        .collect()
}
