//! Parameters: declared once with type, unit and range, changeable while the node runs.
//!
//! They behave as rclcpp's (`rclcpp/node_interfaces/node_parameters.cpp`), with two liberties: a whole number is taken where a number is wanted,
//! and the sentence of a refusal names range and unit.

mod services;
mod store;
mod value;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::context::Context;
use crate::error::{HandlerResult, SetupError};
use crate::node::{Node, Setup};

pub(crate) use services::{Listener, announce, declare};
pub(crate) use store::{FrozenParam, ParamStore};
pub use store::{ParamChanges, ParamError};
pub use value::{ParamType, ParamValue};

use store::{Cell, Declaration};

/// A declared parameter; reading it gives the present value.
pub struct Param<T> {
    cell: Arc<Cell>,
    default: T,
}

impl<T: Clone> Clone for Param<T> {
    fn clone(&self) -> Self {
        Self { cell: Arc::clone(&self.cell), default: self.default.clone() }
    }
}

impl<T: ParamType> Param<T> {
    /// The present value.
    pub fn get(&self) -> T {
        // The store only ever keeps values of the declared type.
        self.cell.read().unwrap_or_else(|| self.default.clone())
    }
}

/// A parameter being declared.
pub struct ParamBuilder<'a, T> {
    store: &'a ParamStore,
    overrides: &'a mut BTreeMap<String, ParamValue>,
    node: &'a str,
    name: String,
    default: T,
    declaration: Declaration,
    _type: PhantomData<T>,
}

impl<'a, T: ParamType> ParamBuilder<'a, T> {
    pub(crate) fn new(
        store: &'a ParamStore,
        overrides: &'a mut BTreeMap<String, ParamValue>,
        node: &'a str,
        name: String,
        default: T,
    ) -> Self {
        let declaration = Declaration::new(default.clone().into_value(), T::DYNAMIC);
        Self { store, overrides, node, name, default, declaration, _type: PhantomData }
    }

    /// The unit of the value, in SI's symbols.
    pub fn unit(mut self, unit: &'static str) -> Self {
        self.declaration.unit = unit;
        self
    }

    /// The least and the greatest value, of a number or of each number of a list.
    pub fn range(mut self, low: impl Into<f64>, high: impl Into<f64>) -> Self {
        self.declaration.range = Some((low.into(), high.into()));
        self
    }

    /// Within the range only its ends and the multiples of `step` above the least value are allowed.
    pub fn step(mut self, step: impl Into<f64>) -> Self {
        self.declaration.step = step.into();
        self
    }

    /// The words that are allowed.
    pub fn one_of(mut self, choices: &[&str]) -> Self {
        self.declaration.choices = choices.iter().map(|c| (*c).to_owned()).collect();
        self
    }

    /// What it does, in a sentence.
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        self.declaration.description = description.into();
        self
    }

    /// What else is asked of the value, in words; [`ParamBuilder::check`] asks it.
    pub fn constraints(mut self, text: impl Into<String>) -> Self {
        self.declaration.constraints = text.into();
        self
    }

    /// Refuses values with a reason; asked at set-up and before each change, and not to have an effect of its own.
    pub fn check(mut self, check: impl Fn(&T) -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.declaration.check = Some(Box::new(move |value| T::from_value(value).map_or(Ok(()), |value| check(&value))));
        self
    }

    /// It can only be set at start.
    pub fn read_only(mut self) -> Self {
        self.declaration.read_only = true;
        self
    }

    /// Declares it, with the value from the launch file if there is one.
    ///
    /// # Errors
    /// [`SetupError::InvalidParameter`] when that value is of another type or out of range, or when the node declared the name before.
    pub fn declare(self) -> Result<Param<T>, SetupError> {
        let Self { store, overrides, node, name, default, declaration, .. } = self;
        let invalid =
            |reason: &str| SetupError::InvalidParameter { node: node.to_owned(), name: name.clone(), reason: reason.to_owned() };
        if name.is_empty() {
            return Err(invalid("a parameter needs a name"));
        }
        if store.has(&name) {
            return Err(invalid("the node declares it twice"));
        }
        if let Some(value) = overrides.remove(&name) {
            let value = declaration.fit(value).map_err(|reason| invalid(&reason))?;
            declaration.cell.give(value);
        }
        let param = Param { cell: Arc::clone(&declaration.cell), default };
        store.declare(name, declaration);
        Ok(param)
    }
}

impl<N: Node> Setup<N> {
    /// Declares a parameter; end with [`ParamBuilder::declare`]. One whose default is a [`ParamValue`] has no fixed type.
    pub fn param<T: ParamType>(&mut self, name: &str, default: T) -> ParamBuilder<'_, T> {
        ParamBuilder::new(&self.params, &mut self.overrides, &self.slot.name, name.to_owned(), default)
    }

    /// Refuses changes that do not go together, with a reason; asked once at the end of the set-up and before each change, after the checks of the
    /// single parameters, and not to have an effect of its own.
    pub fn check_params(&mut self, check: impl Fn(&ParamChanges<'_>) -> Result<(), String> + Send + Sync + 'static) {
        self.params.add_check(Box::new(check));
    }

    /// Calls `handler` after parameters were changed by service, with names and new values; one that is gone is [`ParamValue::NotSet`].
    pub fn on_params(
        &mut self,
        handler: impl FnMut(&mut N, &mut Context, &[(String, ParamValue)]) -> HandlerResult + Send + 'static,
    ) {
        self.param_listeners.push(Box::new(handler));
    }

    /// Values that the node was given for parameters that it has not declared so far, by name.
    pub fn given_params(&self) -> Vec<(String, ParamValue)> {
        self.overrides.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Takes parameters that are not declared, with values of any type (rclcpp: `allow_undeclared_parameters` and
    /// `automatically_declare_parameters_from_overrides`).
    pub fn accept_undeclared_params(&mut self) {
        self.params.open.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Context {
    /// The present value of a parameter of this node, also of one that was not declared in its set-up.
    pub fn param(&self, name: &str) -> Option<ParamValue> {
        self.slot.params().read(name)
    }

    /// Changes parameters of this node, all or none, as a service call would; [`Setup::on_params`] is not told.
    ///
    /// # Errors
    /// [`ParamError`]; then nothing is changed.
    pub fn set_params(&mut self, changes: &[(String, ParamValue)]) -> Result<(), ParamError> {
        let store = self.slot.params();
        let changed = store.set(changes)?;
        services::tell(&store, self, changed);
        Ok(())
    }

    /// Forgets a parameter of this node.
    ///
    /// # Errors
    /// [`ParamError`]: as in rclcpp, one that is read-only or has a fixed type stays.
    pub fn undeclare_param(&mut self, name: &str) -> Result<(), ParamError> {
        let store = self.slot.params();
        let changed = store.undeclare(name)?;
        services::tell(&store, self, changed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declare(overrides: &mut BTreeMap<String, ParamValue>, store: &ParamStore) -> Result<Param<f64>, SetupError> {
        ParamBuilder::new(store, overrides, "battery", "capacity_wh".into(), 26.0).unit("Wh").range(1, 100).declare()
    }

    #[test]
    fn a_whole_number_is_taken_where_a_number_is_wanted() {
        let mut overrides = BTreeMap::from([("capacity_wh".to_owned(), ParamValue::Integer(30))]);
        let param = declare(&mut overrides, &ParamStore::default()).unwrap();
        assert_eq!(param.get(), 30.0);
        assert!(overrides.is_empty());
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_range_and_unit() {
        for bad in [ParamValue::Double(1000.0), ParamValue::Double(f64::NAN), ParamValue::String("x".into())] {
            let mut overrides = BTreeMap::from([("capacity_wh".to_owned(), bad)]);
            assert!(declare(&mut overrides, &ParamStore::default()).is_err());
        }
        let mut overrides = BTreeMap::from([("capacity_wh".to_owned(), ParamValue::Double(1000.0))]);
        let message = declare(&mut overrides, &ParamStore::default()).err().unwrap().to_string();
        assert_eq!(message, "node `battery`, parameter `capacity_wh`: 1000 is outside 1 to 100 Wh");
    }

    #[test]
    fn every_member_of_a_list_is_checked() {
        let store = ParamStore::default();
        let mut none = BTreeMap::new();
        ParamBuilder::new(&store, &mut none, "n", "ids".into(), vec![1]).range(0, 10).declare().unwrap();
        ParamBuilder::new(&store, &mut none, "n", "words".into(), vec!["a".to_owned()]).one_of(&["a", "b"]).declare().unwrap();
        assert!(store.set(&[("ids".to_owned(), vec![2, 11].into())]).unwrap_err().to_string().contains("11 is outside 0 to 10"));
        assert!(
            store
                .set(&[("words".to_owned(), vec!["b".to_owned(), "c".to_owned()].into())])
                .unwrap_err()
                .to_string()
                .contains("`c`")
        );
    }

    #[test]
    fn a_parameter_is_declared_once() {
        let store = ParamStore::default();
        declare(&mut BTreeMap::new(), &store).unwrap();
        assert!(declare(&mut BTreeMap::new(), &store).err().unwrap().to_string().contains("twice"));
    }

    #[test]
    fn changes_are_made_all_or_none() {
        let store = ParamStore::default();
        let param = declare(&mut BTreeMap::new(), &store).unwrap();
        let changes = [("capacity_wh".to_owned(), ParamValue::Double(30.0)), ("capacity".to_owned(), ParamValue::Double(1.0))];
        assert!(store.set(&changes).unwrap_err().to_string().contains("capacity_wh"));
        assert_eq!(param.get(), 26.0);
        store.set(&changes[..1]).unwrap();
        assert_eq!(param.get(), 30.0);
    }
}
